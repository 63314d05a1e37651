//! Adapters (`LoRA`): products of low rank that change some matrices of a decoder.

use std::any::Any;

use precis_kernels::{LowRank, LowRankShape};

use super::ModelConfig;

/// A matrix of a layer that adapters can change, as the decoder multiplies with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    /// Queries, keys and values, one below the other.
    Qkv,
    /// From the attended values back to the stream.
    Output,
    /// Gate above up.
    GateUp,
    /// From the feed-forward block back to the stream.
    Down,
}

impl Site {
    /// Number of sites of a layer.
    pub(crate) const COUNT: usize = 4;
}

/// A matrix of a decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) layer: usize,
    pub(crate) site: Site,
}

/// A linear projection as adapters name it. Some of them are parts of one matrix here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Projection {
    Query,
    Key,
    Value,
    /// All three in one, as Phi-3 has them.
    QueryKeyValue,
    Output,
    Gate,
    Up,
    /// Both in one, as Phi-3 has them.
    GateUp,
    Down,
}

impl Projection {
    pub(crate) fn site(self) -> Site {
        match self {
            Self::Query | Self::Key | Self::Value | Self::QueryKeyValue => Site::Qkv,
            Self::Output => Site::Output,
            Self::Gate | Self::Up | Self::GateUp => Site::GateUp,
            Self::Down => Site::Down,
        }
    }

    /// Inputs, outputs, and the place of the outputs in the decoder's own matrix.
    pub(crate) fn shape(self, config: &ModelConfig, rank: usize) -> LowRankShape {
        let (queries, kv) = (config.heads * config.head_dim, config.kv_width());
        let (width, inner) = (config.width, config.inner);
        let (first, inputs, outputs) = match self {
            Self::Query => (0, width, queries),
            Self::Key => (queries, width, kv),
            Self::Value => (queries + kv, width, kv),
            Self::QueryKeyValue => (0, width, queries + 2 * kv),
            Self::Output => (0, queries, width),
            Self::Gate => (0, width, inner),
            Self::Up => (inner, width, inner),
            Self::GateUp => (0, width, 2 * inner),
            Self::Down => (0, inner, width),
        };
        LowRankShape { first, inputs, outputs, rank }
    }

    /// Heads, from the first output on, that are rotated by their positions.
    pub(crate) fn rotated_heads(self, config: &ModelConfig) -> usize {
        match self {
            Self::Query => config.heads,
            Self::Key => config.kv_heads,
            Self::QueryKeyValue => config.heads + config.kv_heads,
            _ => 0,
        }
    }
}

/// The products of one adapter, by layer and site.
#[derive(Debug)]
pub(crate) struct Adapter {
    layers: Vec<[Vec<LowRank>; Site::COUNT]>,
    /// Freed with the adapter: its share of a memory bound.
    _room: Option<Box<dyn Any + Send + Sync>>,
}

impl Adapter {
    /// An adapter that changes nothing yet, for a decoder of `layers`.
    pub(crate) fn new(layers: usize) -> Self {
        Self { layers: (0..layers).map(|_| Default::default()).collect(), _room: None }
    }

    /// Adds a product.
    pub(crate) fn push(&mut self, layer: usize, site: Site, part: LowRank) {
        self.layers[layer][site as usize].push(part);
    }

    /// The adapter with something that is dropped together with it.
    pub(crate) fn holding(self, room: Box<dyn Any + Send + Sync>) -> Self {
        Self { _room: Some(room), ..self }
    }

    /// The products that are added to a product with this matrix.
    pub(crate) fn parts(&self, place: Place) -> &[LowRank] {
        &self.layers[place.layer][place.site as usize]
    }

    /// Layers of the decoder that it is for.
    pub(crate) fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Bytes of the factors.
    pub(crate) fn bytes(&self) -> u64 {
        let parts = self.layers.iter().flatten().flatten();
        parts.map(|part| part.shape().bytes() as u64).sum()
    }

    /// The largest rank of one product.
    pub(crate) fn largest_rank_of_a_part(&self) -> usize {
        let parts = self.layers.iter().flatten().flatten();
        parts.map(|part| part.shape().rank).max().unwrap_or(0)
    }

    /// The largest rank of a site, all its parts together.
    pub(crate) fn largest_rank(&self) -> usize {
        let of = |parts: &Vec<LowRank>| parts.iter().map(|part| part.shape().rank).sum();
        self.layers.iter().flatten().map(of).max().unwrap_or(0)
    }
}
