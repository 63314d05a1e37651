use super::*;

fn refuses(summary: &str, source: &str) -> bool {
    !check(&Input { summary, source, finish_reason: "stop", ..Input::default() }).passed
}

#[test]
fn an_assistant_speaking_of_itself_is_a_refusal() {
    for summary in [
        "I'm sorry, but I cannot help with that.",
        "I can’t summarize this document.",
        "As an AI language model, I do not have opinions.",
        "Please provide the text you would like me to summarize.",
        "Je suis désolé, mais je ne peux pas résumer ce texte.",
        "En tant qu’IA, je n’ai pas accès au document.",
        "Veuillez fournir le texte à résumer.",
    ] {
        assert!(refuses(summary, "The lease ends in May."), "{summary}");
    }
}

#[test]
fn people_in_the_source_may_say_the_same() {
    let source = "Dear Sir, I cannot accept the delay. I am sorry to say so.";
    assert!(!refuses("The author writes: “I cannot accept the delay.”", source));
}

#[test]
fn ordinary_summaries_are_no_refusals() {
    for summary in [
        "The tenant cannot sublet without consent.",
        "Le locataire ne peut pas sous-louer.",
        "The company apologised to its customers.",
        "Investigators were unable to find the file.",
    ] {
        assert!(!refuses(summary, ""), "{summary}");
    }
}

#[test]
fn the_providers_own_word_counts() {
    let input = Input { summary: "Fine text.", finish_reason: "refusal", ..Input::default() };
    assert!(!check(&input).passed);
}
