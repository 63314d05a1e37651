//! The metadata of records, as far as documents have fields for it.

/// Languages by the names and codes that data sets have beside their tags: English, native, ISO
/// 639-2.
const LANGUAGES: [(&str, &[&str]); 36] = [
    ("ar", &["arabic", "العربية", "ara"]),
    ("bg", &["bulgarian", "български", "bul"]),
    ("ca", &["catalan", "català", "cat"]),
    ("cs", &["czech", "čeština", "český", "ces", "cze"]),
    ("da", &["danish", "dansk", "dan"]),
    ("de", &["german", "deutsch", "deu", "ger"]),
    ("el", &["greek", "ελληνικά", "ell", "gre"]),
    ("en", &["english", "eng", "anglais", "englisch"]),
    ("es", &["spanish", "español", "espanol", "castellano", "spa"]),
    ("et", &["estonian", "eesti", "est"]),
    ("fa", &["persian", "farsi", "فارسی", "fas", "per"]),
    ("fi", &["finnish", "suomi", "fin"]),
    ("fr", &["french", "français", "francais", "fra", "fre"]),
    ("he", &["hebrew", "עברית", "heb"]),
    ("hi", &["hindi", "हिन्दी", "हिंदी", "hin"]),
    ("hr", &["croatian", "hrvatski", "hrv"]),
    ("hu", &["hungarian", "magyar", "hun"]),
    ("id", &["indonesian", "bahasa indonesia", "ind"]),
    ("it", &["italian", "italiano", "ita"]),
    ("ja", &["japanese", "日本語", "jpn"]),
    ("ko", &["korean", "한국어", "kor"]),
    ("lt", &["lithuanian", "lietuvių", "lit"]),
    ("lv", &["latvian", "latviešu", "lav"]),
    ("nl", &["dutch", "nederlands", "nld", "dut"]),
    ("no", &["norwegian", "norsk", "nor"]),
    ("pl", &["polish", "polski", "pol"]),
    ("pt", &["portuguese", "português", "portugues", "por"]),
    ("ro", &["romanian", "română", "romana", "ron", "rum"]),
    ("ru", &["russian", "русский", "rus"]),
    ("sk", &["slovak", "slovenčina", "slk", "slo"]),
    ("sl", &["slovenian", "slovenščina", "slv"]),
    ("sv", &["swedish", "svenska", "swe"]),
    ("tr", &["turkish", "türkçe", "turkce", "tur"]),
    ("uk", &["ukrainian", "українська", "ukr"]),
    ("vi", &["vietnamese", "tiếng việt", "vie"]),
    ("zh", &["chinese", "中文", "mandarin", "zho", "chi"]),
];

/// Tags that say that the language is not known, several, or none (ISO 639-2).
const NO_LANGUAGE: [&str; 4] = ["und", "mis", "mul", "zxx"];

/// The language tag of a record's statement: a tag itself (`fr`, `pt-BR`), a locale
/// (`en_US.UTF-8`), a name (`English (US)`). `None` where it is none of these.
pub(super) fn language_tag(stated: &str) -> Option<String> {
    let stated = stated.trim();
    let name = stated.split('(').next().unwrap_or_default().trim().to_lowercase();
    if let Some((tag, _)) = LANGUAGES.iter().find(|(_, names)| names.contains(&name.as_str())) {
        return Some((*tag).to_owned());
    }
    // Of a locale, its country and its encoding say nothing about the language.
    let locale = stated.split(['.', '@']).next().unwrap_or_default();
    let tag = locale.split('_').next().unwrap_or_default();
    let is_subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !locale.split('_').all(|part| part.split('-').all(is_subtag)) || tag.len() > precis_router::MAX_LABEL_BYTES {
        return None;
    }
    let (primary, rest) = tag.split_at(tag.find('-').unwrap_or(tag.len()));
    let primary = primary.to_ascii_lowercase();
    let is_primary = (2..=3).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_lowercase());
    let known = LANGUAGES.iter().find(|(_, names)| names.contains(&primary.as_str())).map(|(tag, _)| *tag);
    (is_primary && !NO_LANGUAGE.contains(&primary.as_str())).then(|| format!("{}{rest}", known.unwrap_or(&primary)))
}

#[cfg(test)]
mod tests;
