use super::*;

#[test]
fn whatever_changes_an_answer_is_in_its_fingerprint() {
    let settings = EngineConfig::default();
    let plain = settings.decoding(None);
    let changed = [
        EngineConfig { window_tokens: 512, ..settings.clone() }.decoding(None),
        EngineConfig { repetition_penalty: 1.1, ..settings.clone() }.decoding(None),
        EngineConfig { numbers_from_source: false, ..settings.clone() }.decoding(None),
        EngineConfig { names_from_source: true, ..settings.clone() }.decoding(None),
        EngineConfig { no_repeat_tokens: 0, ..settings.clone() }.decoding(None),
        EngineConfig { whole_sentences: false, ..settings.clone() }.decoding(None),
        settings.decoding(Some(WeightsKind::Quantised)),
        settings.decoding(Some(WeightsKind::Dense)),
    ];
    for (index, one) in changed.iter().enumerate() {
        assert!(*one != plain && !changed[..index].contains(one), "{one}");
    }
    let faster = EngineConfig { threads: 1, isa: IsaKind::Portable, max_sequences: 2, ..settings };
    assert_eq!(faster.decoding(None), plain);
}
