//! From an adapter's files to the products that a decoder computes.

use std::collections::BTreeMap;

use precis_kernels::{LowRank, LowRankShape, MAX_RANK};

use super::{AdapterEntry, AdapterFiles, AdapterFormat, broken, gguf_file, peft};
use crate::error::EngineError;
use crate::gguf;
use crate::model::weights::GgufFile;
use crate::step::{Adapter, ModelConfig, Projection};

/// The model that adapters are for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AdapterBase {
    /// SHA-256 of the model's file.
    pub(crate) sha256: String,
    /// `general.architecture` of the model's file.
    pub(crate) architecture: String,
    pub(crate) shape: ModelConfig,
}

impl AdapterBase {
    /// The model in this file, whose digest was checked.
    pub(crate) fn of(file: &GgufFile, sha256: &str) -> Result<Self, EngineError> {
        let described = gguf::string(&file.content, "general.architecture").and_then(|architecture| {
            let shape = ModelConfig::from_gguf(&file.content)?;
            Ok(Self { sha256: sha256.to_owned(), architecture: architecture.to_owned(), shape })
        });
        file.named(described)
    }
}

/// The two factors of one product as a file has them.
#[derive(Debug, Default)]
pub(super) struct Pair {
    /// `[rank, inputs]`
    pub(super) a: Option<Matrix>,
    /// `[outputs, rank]`
    pub(super) b: Option<Matrix>,
    pub(super) scale: f32,
}

/// A row-major matrix.
#[derive(Debug)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) values: Vec<f32>,
}

/// The products of a file by layer and projection.
pub(super) type Pairs = BTreeMap<(usize, Projection), Pair>;

/// Reads a registered adapter for this model.
pub(crate) fn read(entry: &AdapterEntry, base: &AdapterBase) -> Result<Adapter, EngineError> {
    if entry.base_sha256 != base.sha256 {
        return Err(entry.broken(format!(
            "it is registered for the model `{}` with sha256 {}, and the model in use has {}: register it for that one",
            entry.base, entry.base_sha256, base.sha256
        )));
    }
    factors(&entry.name, &AdapterFiles::of(entry)?, base)
}

/// The products of an adapter's files, each checked against the model's shape.
pub(super) fn factors(name: &str, files: &AdapterFiles, base: &AdapterBase) -> Result<Adapter, EngineError> {
    let pairs = match files.format {
        AdapterFormat::Peft => peft::pairs(files, base),
        AdapterFormat::Gguf => gguf_file::pairs(files, base),
    };
    let pairs = pairs.map_err(|reason| broken(name, reason))?;
    if pairs.is_empty() {
        return Err(broken(name, "it holds no product"));
    }
    let mut adapter = Adapter::new(base.shape.layers);
    for ((layer, projection), pair) in pairs {
        let what = format!("layer {layer}, {projection:?}");
        let part = product(projection, pair, files.format, base)
            .map_err(|reason| broken(name, format!("{what}: {reason}")))?;
        adapter.push(layer, projection.site(), part);
    }
    Ok(adapter)
}

fn product(projection: Projection, pair: Pair, format: AdapterFormat, base: &AdapterBase) -> Result<LowRank, String> {
    let (Some(a), Some(mut b)) = (pair.a, pair.b) else { return Err("one of its two factors is missing".into()) };
    let rank = a.rows;
    let shape = projection.shape(&base.shape, rank);
    let LowRankShape { inputs, outputs, .. } = shape;
    if a.columns != inputs || b.rows != outputs || b.columns != rank {
        return Err(format!(
            "its factors are {}×{} and {}×{}, and the model has {outputs} outputs of {inputs} inputs there",
            a.rows, a.columns, b.rows, b.columns
        ));
    }
    if !has_paired_heads(format, &base.shape) {
        pair_heads(&mut b, projection.rotated_heads(&base.shape), base.shape.head_dim);
    }
    LowRank::pack(shape, pair.scale, &a.values, &b.values).map_err(|error| error.to_string())
}

/// Whether the two values that are rotated together stand side by side in a head, as this decoder
/// rotates them. Transformers keeps them half a head apart; llama.cpp moves them together for
/// models of some families, and for adapters of these.
fn has_paired_heads(format: AdapterFormat, shape: &ModelConfig) -> bool {
    format == AdapterFormat::Gguf && !shape.split_pairs
}

/// Moves rows `pair` and `half + pair` of each head next to each other.
fn pair_heads(b: &mut Matrix, heads: usize, head_dim: usize) {
    let (half, columns) = (head_dim / 2, b.columns);
    for head in b.values.chunks_exact_mut(head_dim * columns).take(heads) {
        let apart = head.to_vec();
        for (row, to) in head.chunks_exact_mut(columns).enumerate() {
            let from = row % 2 * half + row / 2;
            to.copy_from_slice(&apart[from * columns..][..columns]);
        }
    }
}

/// Checks the shape of a factor before anything of its size is taken.
pub(super) fn check_factor(name: &str, dims: &[usize]) -> Result<(usize, usize), String> {
    let [rows, columns] = *dims else { return Err(format!("`{name}` has {} dimensions instead of 2", dims.len())) };
    if rows.min(columns) == 0 || rows.min(columns) > MAX_RANK {
        return Err(format!("`{name}` is {rows}×{columns}: a rank must be 1 to {MAX_RANK}"));
    }
    Ok((rows, columns))
}

/// Checks that there is such a layer.
pub(super) fn check_layer(name: &str, layer: &str, base: &AdapterBase) -> Result<usize, String> {
    let layers = base.shape.layers;
    let number = layer.parse().ok().filter(|number| *number < layers);
    number.ok_or_else(|| format!("`{name}` is for layer {layer}, and the model has {layers} layers"))
}
