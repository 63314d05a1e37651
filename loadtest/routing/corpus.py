"""Documents of a made-up law firm, all different: types, lengths, languages, tenants and labels as such a firm may have them.

Every sentence is made here, from patterns and word lists; nothing is copied from elsewhere. The same seed makes the same documents.
Contracts and reports are full of figures, papers have long sentences, a fifth of all is French: what the router's score goes by.
"""

import hashlib
import math
from dataclasses import dataclass, field
from random import Random

MAX_WORDS = 60
# Characters of a token, about, in both languages.
TOKEN = 4.3
LEAST_TOKENS, MOST_TOKENS = 100, 8_000
# Type: share of documents, median length in tokens, spread of its logarithm, share of sentences with figures.
TYPES = {
    "email": (0.30, 220, 0.6, 0.05),
    "note": (0.15, 180, 0.6, 0.10),
    "letter": (0.15, 350, 0.5, 0.15),
    "contract": (0.15, 1_800, 0.7, 0.60),
    "report": (0.15, 1_200, 0.7, 0.50),
    "paper": (0.10, 2_500, 0.5, 0.25),
}
TENANTS = {"ashford": 0.35, "birch": 0.25, "calder": 0.20, "dunmore": 0.12, "elmsley": 0.08}
LANGUAGES = {"en": 0.8, "fr": 0.2}
# `None`: without a label, which counts as restricted.
SENSITIVITIES = {
    "public": 0.20,
    "internal": 0.45,
    "confidential": 0.05,
    "restricted": 0.15,
    None: 0.15,
}
RESIDENCIES = {None: 0.80, "us": 0.12, "eu": 0.08}
# What the policy lets leave the network.
MAY_LEAVE = {"public", "internal"}, {None, "us"}
# Share of documents whose text and tenant an earlier one had, so many documents before at least.
REPEATS = 0.03
REPEATS_AFTER = 500

PEOPLE = {
    "en": """the auditor|the tenant|the landlord|the supplier|the buyer|the seller|the trustee|the insurer|the contractor|the architect|the surveyor|the lender|
        the borrower|the witness|the clerk|the director|the manager|the engineer|the notary|the carrier|the shareholder|the accountant|the client|the applicant""",
    "fr": """l'auditeur|le locataire|le bailleur|le fournisseur|l'acheteur|le vendeur|le fiduciaire|l'assureur|l'entrepreneur|l'architecte|le géomètre|le prêteur|
        l'emprunteur|le témoin|le greffier|le directeur|le gérant|l'ingénieur|le notaire|le transporteur|l'actionnaire|le comptable|le client|le demandeur""",
}
DEEDS = {
    "en": """has signed|has returned|has checked|has refused|has explained|has sent|has read|has copied|has questioned|has corrected|has accepted|has described|
        has mentioned|has collected|has reviewed|has withdrawn|has completed|has lost|has found|has postponed""",
    "fr": """a signé|a rendu|a vérifié|a refusé|a expliqué|a envoyé|a lu|a copié|a contesté|a corrigé|a accepté|a décrit|a mentionné|a rassemblé|a examiné|a retiré|
        a complété|a perdu|a trouvé|a reporté""",
}
THINGS = {
    "en": """the lease|the inventory|the statement|the invoice|the report|the plans|the guarantee|the minutes|the declaration|the receipt|the schedule|the notice|
        the certificate|the letter|the contract|the estimate|the complaint|the list of defects|the insurance policy|the power of attorney""",
    "fr": """le bail|l'inventaire|la déclaration|la facture|le rapport|les plans|la garantie|le procès-verbal|l'attestation|le reçu|le calendrier|le préavis|
        le certificat|la lettre|le contrat|le devis|la réclamation|la liste des défauts|la police d'assurance|la procuration""",
}
WHY = {
    "en": """because the weather had delayed the work|although nobody had asked for it|before the meeting began|after a long talk with the neighbours|
        while the building was closed|so that the work could go on|since the older version was no longer right|as both sides had wished|without any further remark|
        when the keys were handed over|because the first copy could not be read|although the deadline had not passed yet|once the roof had been repaired|
        while the others waited outside|so that nobody would lose any time|after the bank had given its consent|before the summer holidays|as the law requires""",
    "fr": """parce que la pluie avait retardé les travaux|bien que personne ne l'ait demandé|avant le début de la réunion|après une longue discussion avec les voisins|
        pendant que le bâtiment était fermé|afin que les travaux puissent continuer|puisque l'ancienne version n'était plus juste|comme les deux parties le souhaitaient|
        sans autre remarque|lors de la remise des clés|parce que la première copie était illisible|alors que le délai n'était pas encore passé|une fois le toit réparé|
        pendant que les autres attendaient dehors|pour que personne ne perde de temps|après que la banque eut donné son accord|avant les vacances d'été|comme la loi l'exige""",
}
PLAIN = {
    "en": """{Who} {did} {what} {why}.|{Why}, {who} {did} {what}.|{Who} says that {who2} {did} {what} {why}.|It is known that {who} {did} {what}, and that {who2} {did2} {what2}.|
        Nobody doubts that {who} {did} {what} {why}.|{Who} {did} {what}, but {who2} {did2} {what2} {why}.|In the meantime {who} {did} {what} {why}.|
        {Who} and {who2} agree on {what}, {why}.|There is a copy of {what} in the office, {why}.|According to {who}, {what} came too late {why}.""",
    "fr": """{Who} {did} {what} {why}.|{Why}, {who} {did} {what}.|{Who} dit que {who2} {did} {what} {why}.|On sait que {who} {did} {what}, et que {who2} {did2} {what2}.|
        Personne ne doute que {who} {did} {what} {why}.|{Who} {did} {what}, mais {who2} {did2} {what2} {why}.|Entre-temps {who} {did} {what} {why}.|
        {Who} et {who2} sont d'accord sur ce point, {why}.|Il y a une copie au bureau, {why}, et {who} {did} {what}.|Selon {who}, tout est arrivé trop tard {why}.""",
}
FIGURES = {
    "en": """On {day} {month} {year} {who} paid {amount} dollars for {what}.|Under clause {n} of {what}, {who} owes {amount} dollars within {n2} days.|
        The rent of {amount} dollars rises by {n} percent in {month} {year}.|{Who} counted {amount} pages, {n} plans and {n2} letters.|
        Of {amount} dollars, {n} percent were paid by {day} {month} {year}.|{Who} {did} {what} on {day} {month} {year}, {n} days late.|
        The area is {amount} square metres, of which {n} percent is let until {year}.|Between {year} and {month} {year2} {who} sent {n} reminders over {amount} dollars.""",
    "fr": """Le {day} {month} {year} {who} a payé {amount} euros pour les travaux.|Selon la clause {n}, {who} doit {amount} euros dans les {n2} jours.|
        Le loyer de {amount} euros augmente de {n} pour cent en {month} {year}.|{Who} a compté {amount} pages, {n} plans et {n2} lettres.|
        Sur {amount} euros, {n} pour cent étaient payés le {day} {month} {year}.|{Who} {did} {what} le {day} {month} {year}, avec {n} jours de retard.|
        La surface est de {amount} mètres carrés, dont {n} pour cent sont loués.|Entre {year} et {month} {year2} {who} a envoyé {n} rappels pour {amount} euros.""",
}
OPENING = {
    "en": "This {type}, filed under {marker}, is about {what}: {who} {did} it {why}.",
    "fr": "Ce document, classé sous {marker}, concerne une affaire : {who} {did} {what} {why}.",
}
MONTHS = {
    "en": "January February March April May June July August September October November December".split(),
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split(),
}


def choices(lists: dict[str, str]) -> dict[str, list[str]]:
    return {
        language: [" ".join(entry.split()) for entry in text.split("|")]
        for language, text in lists.items()
    }


PEOPLE, DEEDS, THINGS, WHY, PLAIN, FIGURES = (
    choices(lists) for lists in (PEOPLE, DEEDS, THINGS, WHY, PLAIN, FIGURES)
)


@dataclass(frozen=True)
class Document:
    """One document. `marker` is a word that no other text has."""

    tenant: str
    marker: str
    fields: dict = field(hash=False)
    repeat: bool = False

    @property
    def id(self) -> str:
        return self.fields["document_id"]

    @property
    def text(self) -> str:
        return self.fields["text"]

    @property
    def may_leave(self) -> bool:
        sensitivities, residencies = MAY_LEAVE
        return (
            self.fields["sensitivity"] in sensitivities and self.fields["residency"] in residencies
        )


def documents(count: int, seed: int) -> list[Document]:
    """So many documents, in the order in which they are to be published."""
    random = Random(f"precis routing load 1 {seed}")
    made: list[Document] = []
    for number in range(count):
        again = number > REPEATS_AFTER and random.random() < REPEATS
        fresh = document(number, random)
        if again:
            earlier = made[random.randrange(number - REPEATS_AFTER)]
            fresh = Document(
                earlier.tenant,
                earlier.marker,
                earlier.fields | {"document_id": fresh.id},
                repeat=True,
            )
        made.append(fresh)
    return made


def document(number: int, random: Random) -> Document:
    pick = lambda shares: random.choices(list(shares), list(shares.values()))[0]
    kind = pick({name: numbers[0] for name, numbers in TYPES.items()})
    language, marker = pick(LANGUAGES), marker_of(number, random)
    _, median, spread, figures = TYPES[kind]
    tokens = min(max(random.lognormvariate(math.log(median), spread), LEAST_TOKENS), MOST_TOKENS)
    fields = {
        "document_id": f"{kind}-{number:05}",
        "text": text(random, language, kind, marker, figures, int(tokens * TOKEN)),
        "language": language,
        "document_type": kind,
        "max_words": MAX_WORDS,
        "sensitivity": pick(SENSITIVITIES),
        "residency": pick(RESIDENCIES),
    }
    return Document(pick(TENANTS), marker, fields)


def marker_of(number: int, random: Random) -> str:
    """A word without digits, since a number would be held against the summary, and like no other."""
    letters = hashlib.sha256(f"{number} {random.random()}".encode()).digest()[:12]
    return "zq" + "".join(chr(ord("a") + byte % 26) for byte in letters)


def text(
    random: Random, language: str, kind: str, marker: str, figures: float, characters: int
) -> str:
    opening = filled(OPENING[language], random, language)
    sentences = [opening.replace("{type}", kind).replace("{marker}", marker)]
    length, patterns = len(sentences[0]), []
    while length < characters:
        if not patterns:
            # Each pattern once before any comes back: a summary of a few sentences does not say a phrase twice.
            patterns = random.sample(PLAIN[language], len(PLAIN[language]))
        pattern = random.choice(FIGURES[language]) if random.random() < figures else patterns.pop()
        sentence = filled(pattern, random, language)
        if kind == "paper":
            # Papers do not end their sentences where others do.
            second = filled(random.choice(PLAIN[language]), random, language)
            sentence = f"{sentence[:-1]}; {second[0].lower()}{second[1:]}"
        sentences.append(sentence)
        length += len(sentence) + 1
    return "\n\n".join(" ".join(sentences[at : at + 6]) for at in range(0, len(sentences), 6))


def filled(pattern: str, random: Random, language: str) -> str:
    """A pattern with its gaps filled, each by a choice of its own; `{type}` and `{marker}` stay."""
    who, who2 = random.sample(PEOPLE[language], 2)
    did, did2 = random.sample(DEEDS[language], 2)
    what, what2 = random.sample(THINGS[language], 2)
    why, year = random.choice(WHY[language]), random.randint(2_004, 2_020)
    gaps = {
        "who": who,
        "who2": who2,
        "Who": upper(who),
        "did": did,
        "did2": did2,
        "what": what,
        "what2": what2,
        "why": why,
        "Why": upper(why),
        "day": random.randint(2, 28),
        "month": random.choice(MONTHS[language]),
        "year": year,
        "year2": year + random.randint(1, 5),
        "amount": random.randint(1_100, 98_000),
        "n": random.randint(3, 60),
        "n2": random.randint(61, 120),
        "type": "{type}",
        "marker": "{marker}",
    }
    return pattern.format(**gaps)


def upper(words: str) -> str:
    return words[0].upper() + words[1:]
