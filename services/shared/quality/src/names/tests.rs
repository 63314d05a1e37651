use super::*;
use crate::Input;
use crate::spelling::plain;

fn missing_of(source: &str, summary: &str, context: &[&str]) -> String {
    let (source, summary) = (&*plain(source), &*plain(summary));
    let thresholds = Thresholds::default();
    let input = Input { source, context, summary, ..Input::default() };
    let found =
        check(&Source::read(source, context), &Text::read(summary), Languages::of(&input, &thresholds), &thresholds);
    found.detail.strip_prefix("not in the source: ").unwrap_or_default().to_owned()
}

#[track_caller]
fn supported(source: &str, summary: &str) {
    assert_eq!(missing_of(source, summary, &[]), "", "{source:?} should support {summary:?}");
}

#[track_caller]
fn unsupported(source: &str, summary: &str, expected: &str) {
    assert_eq!(missing_of(source, summary, &[]), expected, "{source:?} against {summary:?}");
}

/// Names that the source has are supported in any case, with or without accents.
#[test]
fn names_are_supported_whatever_their_case_and_accents() {
    supported("JEAN-PAUL DUBOIS met Zoë Müller.", "The deed names Jean-Paul Dubois and Zoe Muller.");
    supported("l’Œuvre de Sévigné", "On y lit l'Oeuvre de Sevigne.");
    supported("the european court of justice", "In the end the European Court of Justice decided.");
    supported("Smith's appeal", "The appeal of Smith failed; Smith’s costs were paid.");
    supported("La société L'Oréal a signé.", "Le contrat lie la société L’Oréal.");
}

#[test]
fn joined_and_separate_spellings_are_one_name() {
    supported("We present BrainBench.", "They present Brain-Bench.");
    supported("We present Power Point and Clinical BERT.", "They present PowerPoint and ClinicalBERT.");
}

#[test]
fn invented_names_are_reported_whole() {
    unsupported(
        "The buyer is Acme Ltd.",
        "The buyer is Globex Corporation of Springfield.",
        "Globex Corporation of Springfield",
    );
    unsupported("The case was heard in Paris.", "The case was heard in London.", "London");
    unsupported("L'acheteur est la société Acme.", "L'acheteur est la société Duval.", "Duval");
    unsupported("the agency", "The Food and Drug Administration objected.", "Food, Drug Administration");
    unsupported("a report by Jane Roe", "a report by Jane Doe and by Richard Miles", "Jane Doe, Richard Miles");
}

#[test]
fn a_capital_at_the_beginning_of_a_sentence_says_nothing() {
    supported("the tenant pays", "Overall, tenants pay. Researchers agree. “Nobody” objects: Everyone pays.");
    supported("le locataire paie", "Toutefois, le locataire paie. Néanmoins il part.");
    supported("the tenant pays", "- Payment by tenants\n- Duration of lease");
    supported("Microsoft pays", "Although Microsoft pays, others wait.");
    // But the capitals may go on, or the rest of the name may be missing.
    unsupported("the tenant pays", "NATO objects.", "NATO");
    unsupported("the tenant pays", "OpenAI objects.", "OpenAI");
    unsupported("the tenant pays", "Robert Brown objects.", "Robert Brown");
    unsupported("the tenant pays", "The Hague Convention applies.", "Hague Convention");
}

/// An acronym is supported by the words that it stands for, and the words by the acronym.
#[test]
fn acronyms_and_the_words_they_stand_for_support_each_other() {
    supported("The World Health Organization said so.", "It cites the WHO.");
    supported("large language models are used", "It uses LLMs.");
    supported("The FDA objected.", "It quotes the Food and Drug Administration.");
    supported("l'Organisation mondiale de la santé", "Le texte cite l'OMS.");
    supported("rules of the U.S. Senate", "rules of the US Senate");
    unsupported("The World Health Organization said so.", "It cites the FBI.", "FBI");
    unsupported("we cannot apply it", "It cites the CA rule.", "CA");
}

#[test]
fn words_of_one_stem_support_each_other() {
    supported("made in Italy, China and Canada", "Italian, Chinese and Canadian goods");
    supported("a German and a French firm", "firms of Germany and France");
    supported("en Europe", "le droit Européen");
    supported("the constitution and its court", "It founds the Constitutional Court.");
    unsupported("Mr Johnston agreed.", "It says that Johnson agreed.", "Johnson");
    unsupported("Marie agreed.", "It says that Mario agreed.", "Mario");
}

#[test]
fn headings_titles_days_and_parts_of_documents_are_no_names() {
    supported("rent and notice", "Key Findings:\nThe rent is due.\n\n## Final Remarks\nIt ends.");
    supported("rent and notice", "**Rent Obligations:** pay. **Notice** is given on Monday in March by Dr and Mrs.");
    supported("rent and notice", "See Section II, Article IV and Chapter X of the Report. I agree.");
    supported("rent and notice", "Summary of Obligations\nthe rent is due");
}

#[test]
fn what_cannot_be_told_is_not_judged() {
    supported("rent", "THE TENANT HAS TO PAY RENT IN LONDON EVERY MONTH");
    let german = "Der Mieter muss die Miete am ersten Tag des Monats zahlen, und der Vermieter muss das Gebäude während \
                  der ganzen Laufzeit des Vertrags in gutem Zustand halten.";
    supported("rent", german);
    let french =
        "Le locataire doit payer le loyer le premier jour de chaque mois aux États-Unis et à Londres, sans délai.";
    let english =
        "The tenant must pay the rent on the first day of each month in the United States and in London, at once.";
    supported(english, french);
}

#[test]
fn title_and_instruction_support_names_too() {
    assert_eq!(missing_of("He pays.", "The tenant is John Roe.", &["Lease of John Roe"]), "");
}

#[test]
fn the_same_name_is_reported_once() {
    unsupported("nothing", "It is by Alan Turing, and by Alan Turing.", "Alan Turing");
}
