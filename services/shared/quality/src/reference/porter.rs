//! The Porter stemmer as NLTK has it, which rouge-score uses: Porter (1980), "An algorithm for
//! suffix stripping", with NLTK's extensions.
//!
//! Each step looks at each letter once, so a word of any length takes linear time.

/// Words whose stem no rule gives.
const IRREGULAR: &[(&str, &str)] = &[
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// Endings of step 2 and what replaces them.
const DERIVED: &[(&str, &str)] = &[
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

/// Endings of step 3 and what replaces them.
const SHORTENED: &[(&str, &str)] =
    &[("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];

/// Endings that step 4 takes away.
const DROPPED: &[&str] = &[
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
];

/// The stem of a word in lower-case ASCII letters and digits, of three characters at least.
pub(super) fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == word) {
        return (*stem).to_owned();
    }
    let mut word = word.as_bytes().to_vec();
    plural(&mut word);
    past_and_progressive(&mut word);
    final_y(&mut word);
    derived(&mut word);
    if let Some((rest, new)) = ending(&word, SHORTENED)
        && measure(&word[..rest]) > 0
    {
        replace(&mut word, rest, new);
    }
    dropped(&mut word);
    final_e(&mut word);
    if word.ends_with(b"ll") && measure(&word[..word.len() - 1]) > 1 {
        word.pop();
    }
    String::from_utf8(word).unwrap_or_default()
}

/// Step 1a: `caresses` → `caress`, `ponies` → `poni`, `cats` → `cat`.
fn plural(word: &mut Vec<u8>) {
    if word.ends_with(b"sses") || word.ends_with(b"ies") {
        let gone = if word.len() == 4 && word.ends_with(b"ies") { 1 } else { 2 };
        word.truncate(word.len() - gone);
    } else if word.ends_with(b"s") && !word.ends_with(b"ss") {
        word.pop();
    }
}

/// Step 1b: `agreed` → `agree`, `plastered` → `plaster`, `hopping` → `hop`.
fn past_and_progressive(word: &mut Vec<u8>) {
    let length = word.len();
    if word.ends_with(b"ied") {
        word.truncate(if length == 4 { 3 } else { length - 2 });
        return;
    }
    if word.ends_with(b"eed") {
        if measure(&word[..length - 3]) > 0 {
            word.pop();
        }
        return;
    }
    let rest = [&b"ed"[..], b"ing"].into_iter().filter(|ending| word.ends_with(ending)).map(|e| length - e.len());
    let Some(rest) = rest.into_iter().find(|rest| has_vowel(&word[..*rest])) else { return };
    word.truncate(rest);
    if word.ends_with(b"at") || word.ends_with(b"bl") || word.ends_with(b"iz") {
        word.push(b'e');
    } else if ends_in_double_consonant(word) {
        if !matches!(word.last(), Some(b'l' | b's' | b'z')) {
            word.pop();
        }
    } else if measure(word) == 1 && ends_in_short_syllable(word) {
        word.push(b'e');
    }
}

/// Step 1c: `happy` → `happi`, but `enjoy` stays.
fn final_y(word: &mut [u8]) {
    let Some((last @ b'y', stem)) = word.split_last_mut() else { return };
    if stem.len() > 1 && is_consonant(stem, stem.len() - 1) {
        *last = b'i';
    }
}

/// Step 2: `relational` → `relate`, `digitizer` → `digitize`.
fn derived(word: &mut Vec<u8>) {
    if word.ends_with(b"alli") && measure(&word[..word.len() - 4]) > 0 {
        word.truncate(word.len() - 2);
    }
    if let Some((rest, new)) = ending(word, DERIVED) {
        if measure(&word[..rest]) > 0 {
            replace(word, rest, new);
        }
    } else if word.ends_with(b"logi") && measure(&word[..word.len() - 3]) > 0 {
        word.pop();
    }
}

/// Step 4: `revival` → `reviv`, `adoption` → `adopt`.
fn dropped(word: &mut Vec<u8>) {
    let Some(ending) = DROPPED.iter().find(|ending| word.ends_with(ending.as_bytes())) else { return };
    let stem = &word[..word.len() - ending.len()];
    let fits = *ending != "ion" || matches!(stem.last(), Some(b's' | b't'));
    if fits && measure(stem) > 1 {
        word.truncate(stem.len());
    }
}

/// Step 5a: `probate` → `probat`, `cease` → `ceas`, but `rate` stays.
fn final_e(word: &mut Vec<u8>) {
    let Some((b'e', stem)) = word.split_last() else { return };
    let measure = measure(stem);
    if measure > 1 || (measure == 1 && !ends_in_short_syllable(stem)) {
        word.pop();
    }
}

/// The first ending of a list that the word has: where it begins, and what replaces it.
fn ending(word: &[u8], list: &[(&str, &'static str)]) -> Option<(usize, &'static str)> {
    let (ending, new) = list.iter().find(|(ending, _)| word.ends_with(ending.as_bytes()))?;
    Some((word.len() - ending.len(), new))
}

fn replace(word: &mut Vec<u8>, rest: usize, new: &str) {
    word.truncate(rest);
    word.extend_from_slice(new.as_bytes());
}

/// Whether each letter is a consonant: `y` is one where the letter before it is not, or where it
/// stands first.
fn consonants(word: &[u8]) -> impl Iterator<Item = bool> {
    let mut is_consonant = false;
    word.iter().map(move |letter| {
        is_consonant = match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => !is_consonant,
            _ => true,
        };
        is_consonant
    })
}

fn is_consonant(word: &[u8], at: usize) -> bool {
    consonants(word).nth(at).unwrap_or_default()
}

/// How often a vowel is followed by a consonant: Porter's m.
fn measure(stem: &[u8]) -> usize {
    let mut after_vowel = false;
    let turn = |is_consonant: bool| std::mem::replace(&mut after_vowel, !is_consonant) && is_consonant;
    consonants(stem).map(turn).filter(|turns| *turns).count()
}

fn has_vowel(stem: &[u8]) -> bool {
    consonants(stem).any(|is_consonant| !is_consonant)
}

fn ends_in_double_consonant(word: &[u8]) -> bool {
    matches!(word, [.., before, last] if before == last) && is_consonant(word, word.len() - 1)
}

/// Whether the word ends in consonant, vowel, consonant, the last of them none of w, x and y; or is
/// a vowel and a consonant.
fn ends_in_short_syllable(word: &[u8]) -> bool {
    let mut last = [false; 3];
    for is_consonant in consonants(word) {
        last = [last[1], last[2], is_consonant];
    }
    match word.len() {
        0 | 1 => false,
        2 => !last[1] && last[2],
        length => last == [true, false, true] && !matches!(word[length - 1], b'w' | b'x' | b'y'),
    }
}
