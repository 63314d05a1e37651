"""Which documents lie in tests/documents: from which package and version, by whom, and under which licence."""

from dataclasses import dataclass

ACLSUM = "0.1.2"
ACLSUM_SHA256 = "c75ffc48d3eabc5f37c68ea087943780a85950087957759e89746f21111f2213"

# Anthology id -> file stem, authors. Only 2016 and later: those are CC BY 4.0.
PAPERS = {
    "P18-1159": (
        "paper-reading-comprehension",
        "Zhen Wang, Jiachen Liu, Xinyan Xiao, Yajuan Lyu, Tian Wu",
    ),
    "D16-1213": ("paper-brainbench", "Haoyan Xu, Brian Murphy, Alona Fyshe"),
    "D17-1220": (
        "paper-lyric-annotation",
        "Lucas Sterckx, Jason Naradowsky, Bill Byrne, Thomas Demeester, Chris Develder",
    ),
    "N19-1221": (
        "paper-abusive-language",
        "Pushkar Mishra, Marco Del Tredici, Helen Yannakoudakis, Ekaterina Shutova",
    ),
    "P18-1181": (
        "paper-deep-speare",
        "Jey Han Lau, Trevor Cohn, Timothy Baldwin, Julian Brooke, Adam Hammond",
    ),
    "P17-1143": ("paper-malware-text", "Swee Kiat Lim, Aldrian Obaja Muis, Wei Lu, Chen Hui Ong"),
    "2021.naacl-main.73": (
        "paper-clinical-notes",
        "Eric Lehman, Sarthak Jain, Karl Pichotta, Yoav Goldberg, Byron C. Wallace",
    ),
    "D19-1240": ("paper-text-anonymization", "Ahmadreza Mosallanezhad, Ghazaleh Beigi, Huan Liu"),
    "D17-1323": (
        "paper-men-also-like-shopping",
        "Jieyu Zhao, Tianlu Wang, Mark Yatskar, Vicente Ordonez, Kai-Wei Chang",
    ),
    "E17-1004": (
        "paper-tor-illegal-activities",
        "Mhd Wesam Al Nabki, Eduardo Fidalgo, Enrique Alegre, Ivan de Paz",
    ),
    "2022.acl-long.286": ("paper-compositionality", "Verna Dankers, Elia Bruni"),
    "2022.naacl-main.215": ("paper-ppl-mcts", "Antoine Chaffin, Vincent Claveau, Ewa Kijak"),
}

GPL2_PLUS = "GPL-2.0-or-later"
HANDBOOK = (
    "debian-handbook",
    "11.20220922",
    "CC-BY-SA-3.0",
    "Raphaël Hertzog, Roland Mas, Freexian SARL and translators (also offered under GPL-2.0-or-later)",
)
FAQ_AUTHORS = "Software in the Public Interest, 1996-2003; Debian FAQ authors and translators"


@dataclass
class Page:
    """One document taken from a Debian package."""

    file: str
    package: str
    version: str
    member: str
    title: str
    licence: str
    attribution: str
    language: str = "en"


HB = "usr/share/doc/debian-handbook/html"
PAGES = [
    Page(
        "handbook-why-debian.md",
        HANDBOOK[0],
        HANDBOOK[1],
        f"{HB}/en-US/sect.why-debian.html",
        "The Debian Administrator's Handbook: Why Debian?",
        HANDBOOK[2],
        HANDBOOK[3],
    ),
    Page(
        "handbook-compromised-machine.txt",
        HANDBOOK[0],
        HANDBOOK[1],
        f"{HB}/en-US/sect.dealing-with-compromised-machine.html",
        "The Debian Administrator's Handbook: Dealing with a Compromised Machine",
        HANDBOOK[2],
        HANDBOOK[3],
    ),
    Page(
        "faq-package-basics.html",
        "debian-faq",
        "11.1",
        "usr/share/doc/debian/FAQ/pkg-basics.en.html",
        "The Debian GNU/Linux FAQ: Basics of the Debian package management system",
        "Debian-FAQ",
        FAQ_AUTHORS,
    ),
    Page(
        "policy-archive.txt",
        "debian-policy",
        "4.6.2.0",
        "usr/share/doc/debian-policy/policy.html/_sources/ch-archive.rst.txt",
        "Debian Policy Manual: The Debian Archive",
        GPL2_PLUS,
        "Ian Jackson, Christian Schwarz and many other Debian contributors, 1996-2018",
    ),
    Page(
        "developers-reference-duties.txt",
        "developers-reference",
        "12.18",
        "usr/share/developers-reference/_sources/developer-duties.rst.txt",
        "Debian Developer's Reference: Debian Developer's Duties",
        GPL2_PLUS,
        "Developer's Reference Team, 1997-2023",
    ),
    Page(
        "social-contract.txt",
        "doc-debian",
        "11.3+nmu1",
        "usr/share/doc/debian/social-contract.txt.gz",
        "Debian Social Contract, version 1.2",
        "OPL-1.0",
        "Copyright 1997-2004 Software in the Public Interest, Inc.; whole and unchanged",
    ),
    Page(
        "bug-reporting.txt",
        "doc-debian",
        "11.3+nmu1",
        "usr/share/doc/debian/bug-reporting.txt.gz",
        "How to report a bug in Debian",
        "GPL-2.0-or-later",
        'Darren O. Benham, Ian Jackson, nCipher Corporation Ltd, Steven Brenner, 1994-1999 ("available under the GPL")',
    ),
    Page(
        "guide-for-maintainers-preface.txt",
        "debmake-doc",
        "1.17-7",
        "usr/share/doc/debmake-doc/html/pr01.en.html",
        "Guide for Debian Maintainers: Preface",
        "MIT",
        "Osamu Aoki, 2015; Stéphane Blondon, 2015",
    ),
    Page(
        "licence-gpl-2.txt",
        "base-files",
        "12.4+deb12u15",
        "usr/share/common-licenses/GPL-2",
        "GNU General Public License, version 2",
        "verbatim-licence",
        "Free Software Foundation, Inc., 1989, 1991; verbatim copies permitted by its own notice",
    ),
    Page(
        "licence-lgpl-3.txt",
        "base-files",
        "12.4+deb12u15",
        "usr/share/common-licenses/LGPL-3",
        "GNU Lesser General Public License, version 3",
        "verbatim-licence",
        "Free Software Foundation, Inc., 2007; verbatim copies permitted by its own notice",
    ),
    Page(
        "licence-gfdl-1.2.txt",
        "base-files",
        "12.4+deb12u15",
        "usr/share/common-licenses/GFDL-1.2",
        "GNU Free Documentation License, version 1.2",
        "verbatim-licence",
        "Free Software Foundation, Inc., 2000, 2001, 2002; verbatim copies permitted by its own notice",
    ),
    Page(
        "fr-cahier-quotas.txt",
        HANDBOOK[0],
        HANDBOOK[1],
        f"{HB}/fr-FR/sect.quotas.html",
        "Le cahier de l'administrateur Debian : Les quotas",
        HANDBOOK[2],
        HANDBOOK[3],
        "fr",
    ),
    Page(
        "fr-cahier-sauvegarde.html",
        HANDBOOK[0],
        HANDBOOK[1],
        f"{HB}/fr-FR/sect.backup.html",
        "Le cahier de l'administrateur Debian : Sauvegarde",
        HANDBOOK[2],
        HANDBOOK[3],
        "fr",
    ),
    Page(
        "fr-cahier-gnu-linux.md",
        HANDBOOK[0],
        HANDBOOK[1],
        f"{HB}/fr-FR/sect.why-gnu-linux.html",
        "Le cahier de l'administrateur Debian : Pourquoi GNU/Linux ?",
        HANDBOOK[2],
        HANDBOOK[3],
        "fr",
    ),
    Page(
        "fr-cahier-etude-de-cas.txt",
        HANDBOOK[0],
        HANDBOOK[1],
        f"{HB}/fr-FR/existing-setup.html",
        "Le cahier de l'administrateur Debian : Prise en compte de l'existant et migration",
        HANDBOOK[2],
        HANDBOOK[3],
        "fr",
    ),
    Page(
        "fr-faq-redistribution.txt",
        "debian-faq-fr",
        "11.1",
        "usr/share/doc/debian/FAQ/fr/redistributing.fr.html",
        "FAQ Debian : Distribuer Debian GNU/Linux dans un produit commercial",
        "Debian-FAQ",
        FAQ_AUTHORS,
        "fr",
    ),
    Page(
        "fr-histoire-introduction.txt",
        "debian-history",
        "2.28",
        "usr/share/doc/debian-history/docs/intro.fr.html",
        "Bref historique de Debian : Introduction",
        GPL2_PLUS,
        "Bdale Garbee, 1999-2004; Debian Documentation Team, 1999-2019",
        "fr",
    ),
    Page(
        "fr-reference-nouveau-responsable.txt",
        "developers-reference-fr",
        "12.18",
        "usr/share/developers-reference/fr/new-maintainer.html",
        "Guide de référence du développeur Debian : Candidater pour devenir membre du projet",
        GPL2_PLUS,
        "Developer's Reference Team and translators, 1997-2023",
        "fr",
    ),
]
