use super::recommended;

/// The instruction stands after the document and is in the language of the answer.
#[test]
fn the_instruction_follows_in_the_language_of_the_answer() {
    let english = recommended("en", 3);
    assert!(english.whole.after.contains("Summarise") && english.whole.after.contains('3'));
    assert!(recommended("fr", 2).map.after.contains("Résume"));
    assert_eq!(recommended("xx", 3), english);
}
