use precis_inference::{EngineConfig, ModelInfo, WeightsKind};

use super::decoding;

/// The processor's answers keep the fingerprints that they always had.
#[test]
fn how_a_device_keeps_weights_is_part_of_the_fingerprint() {
    let of = |device_weights| decoding(&EngineConfig::default(), &ModelInfo { device_weights, ..ModelInfo::default() });
    assert_eq!(of(None), "greedy repetition_penalty=1 window_tokens=0");
    let [quantised, dense] = [WeightsKind::Quantised, WeightsKind::Dense].map(|weights| of(Some(weights)));
    assert_eq!(quantised, format!("{} device=cuda weights=quantised", of(None)));
    assert_eq!(dense, format!("{} device=cuda weights=dense", of(None)));
}
