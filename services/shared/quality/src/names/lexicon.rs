//! Words that the search for names has to know.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Articles, prepositions, conjunctions and pronouns: part of a name at most between its words.
pub(super) fn is_function_word(folded: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        "the a an of in on at by for to from with and or but nor as if so it its he she they we you i his her their our \
         this that these those there here when while where what which who whose how why after before since during under \
         over into through between among about against without within upon per than then not no all any some each every \
         both many most several other such only also however moreover furthermore additionally finally overall although \
         though because unless until despite le la les l un une des du de d au aux en dans sur pour par avec sans sous \
         chez vers et ou mais donc or ni car que qu qui quoi dont ou ce cet cette ces il elle ils elles on nous vous je \
         j c s n m t son sa ses leur leurs notre votre mon ma mes se si ne pas plus tout tous toute toutes comme lors \
         lorsque apres avant depuis pendant selon entre afin ainsi cependant toutefois enfin ensuite aussi van von der \
         den del di da dos las los el y e"
            .split_whitespace()
            .collect()
    });
    WORDS.contains(folded)
}

/// Words that join the capitalised words of one name.
pub(super) fn is_connector(folded: &str) -> bool {
    matches!(
        folded,
        "of" | "the"
            | "for"
            | "de"
            | "la"
            | "le"
            | "les"
            | "du"
            | "des"
            | "d"
            | "l"
            | "and"
            | "van"
            | "von"
            | "der"
            | "den"
            | "del"
            | "di"
            | "da"
            | "et"
            | "y"
    )
}

/// Words that are capitalised without being a name of anything: titles, parts of documents, days.
pub(super) fn is_generic(folded: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        "mr mrs ms miss dr prof professor sir madam m mm mme mmes mlle monsieur madame maitre president chairman chair \
         director minister secretary ceo cfo cto king queen prince princess saint st article articles section sections chapter chapters clause \
         clauses figure figures fig table tables annex annexe appendix part parts schedule paragraph volume number no \
         agreement contract party parties document documents paper papers report reports study studies author authors \
         summary abstract introduction conclusion conclusions results methods background discussion note notes key point \
         points main findings recommendations overview purpose context internet web online monday tuesday wednesday \
         thursday friday saturday sunday lundi mardi mercredi jeudi vendredi samedi dimanche chapitre partie tableau \
         contrat accord parties auteur auteurs etude rapport resume objet objectif directeur ministre etat"
            .split_whitespace()
            .collect()
    });
    WORDS.contains(folded) || crate::numbers::month(folded).is_some()
}

/// Names of one and the same place or people that share no stem: any supports the others.
const SAME: &[&[&str]] = &[
    &["france", "french", "francais", "francaise", "francaises"],
    &["britain", "british", "uk", "britannique", "britanniques"],
    &["us", "usa", "america", "american", "americans", "americain", "americaine", "americains"],
    &["eu", "europe", "european", "europeen", "europeenne", "ue"],
    &["spain", "spanish", "espagne", "espagnol", "espagnole"],
    &["netherlands", "dutch", "holland", "neerlandais"],
    &["switzerland", "swiss", "suisse", "suisses"],
    &["greece", "greek", "greeks"],
    &["denmark", "danish", "danes"],
    &["poland", "polish", "poles"],
    &["wales", "welsh"],
    &["ireland", "irish"],
    &["england", "english"],
    &["norway", "norwegian"],
    &["belgium", "belgian", "belgique", "belge", "belges"],
    &["germany", "german", "germans", "allemagne", "allemand", "allemande"],
    &["turkey", "turkish", "turks"],
    &["mexico", "mexican", "mexique", "mexicain", "mexicaine"],
    &["russia", "russian", "russie", "russe", "russes"],
];

/// The other names of what a folded word names.
pub(super) fn same(folded: &str) -> impl Iterator<Item = &'static str> {
    SAME.iter().filter(move |group| group.contains(&folded)).flat_map(|group| group.iter().copied())
}

/// Endings that make other words of a name, longest first: inhabitants, languages, plurals.
const ENDINGS: &[&str] = &[
    "iennes", "ienne", "aines", "aises", "oises", "istes", "ically", "iens", "aine", "aise", "oise", "eens", "ians",
    "iste", "ists", "ical", "ally", "ien", "een", "ian", "ean", "ese", "ish", "ais", "ois", "ain", "ans", "ist", "ism",
    "ary", "als", "ers", "ies", "an", "ic", "al", "er", "es", "ie", "ia", "y", "s", "a", "e",
];
/// Shortest stem.
const STEM: usize = 4;

/// The word without its longest known ending.
pub(super) fn stem(folded: &str) -> &str {
    ENDINGS
        .iter()
        .find_map(|ending| folded.strip_suffix(ending).filter(|stem| stem.chars().count() >= STEM))
        .unwrap_or(folded)
}
