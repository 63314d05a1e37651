//! The tensors of a model: what each is called in both formats, its shape, and its order of rows.

use super::shape::{Family, Shape};

/// How the rows of a matrix lie in a Hugging Face file, compared with GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowOrder {
    AsStored,
    /// Rotary positions turn value `i` of a head with value `i + head_dim / 2` there, and value
    /// `2 i` with `2 i + 1` here.
    Halves {
        head_dim: usize,
    },
}

impl RowOrder {
    /// The rows of whole heads in GGUF's order.
    pub(super) fn arranged(self, rows: Vec<f32>, columns: usize) -> Vec<f32> {
        let Self::Halves { head_dim } = self else { return rows };
        let mut arranged = Vec::with_capacity(rows.len());
        for head in rows.chunks_exact(head_dim * columns) {
            for pair in 0..head_dim / 2 {
                for row in [pair, pair + head_dim / 2] {
                    arranged.extend_from_slice(&head[row * columns..][..columns]);
                }
            }
        }
        arranged
    }

    /// Rows that must be arranged together.
    pub(super) fn unit(self) -> usize {
        match self {
            Self::AsStored => 1,
            Self::Halves { head_dim } => head_dim,
        }
    }
}

/// One tensor that the model must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    /// Its name in a GGUF file.
    pub(super) name: String,
    /// Its name in a Hugging Face file.
    pub(super) from: String,
    pub(super) shape: Vec<usize>,
    pub(super) order: RowOrder,
}

/// All tensors of a model of that shape, in the order in which they are written.
pub(super) fn expected(shape: &Shape, tied: bool) -> Vec<Expected> {
    let plain = |name: &str, from: &str, dimensions: &[usize]| Expected {
        name: name.to_owned(),
        from: from.to_owned(),
        shape: dimensions.to_vec(),
        order: RowOrder::AsStored,
    };
    let table = [shape.vocabulary, shape.width];
    let mut tensors = vec![plain("token_embd.weight", "model.embed_tokens.weight", &table)];
    for layer in 0..shape.layers {
        tensors.extend(of_layer(shape).into_iter().map(|tensor| Expected {
            name: format!("blk.{layer}.{}", tensor.name),
            from: format!("model.layers.{layer}.{}", tensor.from),
            ..tensor
        }));
    }
    tensors.push(plain("output_norm.weight", "model.norm.weight", &[shape.width]));
    if !tied {
        tensors.push(plain("output.weight", "lm_head.weight", &table));
    }
    tensors
}

fn of_layer(shape: &Shape) -> Vec<Expected> {
    let (width, inner, head_dim) = (shape.width, shape.inner, shape.head_dim);
    let (queries, kv) = (shape.heads * head_dim, shape.kv_heads * head_dim);
    let turned = match shape.family {
        Family::Llama | Family::Mistral => RowOrder::Halves { head_dim },
        Family::Qwen2 | Family::Qwen3 => RowOrder::AsStored,
    };
    let kept = RowOrder::AsStored;
    let mut parts: Vec<(&str, &str, Vec<usize>, RowOrder)> = vec![
        ("attn_norm.weight", "input_layernorm.weight", vec![width], kept),
        ("attn_q.weight", "self_attn.q_proj.weight", vec![queries, width], turned),
        ("attn_k.weight", "self_attn.k_proj.weight", vec![kv, width], turned),
        ("attn_v.weight", "self_attn.v_proj.weight", vec![kv, width], kept),
        ("attn_output.weight", "self_attn.o_proj.weight", vec![width, queries], kept),
        ("ffn_norm.weight", "post_attention_layernorm.weight", vec![width], kept),
        ("ffn_gate.weight", "mlp.gate_proj.weight", vec![inner, width], kept),
        ("ffn_up.weight", "mlp.up_proj.weight", vec![inner, width], kept),
        ("ffn_down.weight", "mlp.down_proj.weight", vec![width, inner], kept),
    ];
    match shape.family {
        Family::Llama | Family::Mistral => {}
        Family::Qwen2 => parts.extend([
            ("attn_q.bias", "self_attn.q_proj.bias", vec![queries], kept),
            ("attn_k.bias", "self_attn.k_proj.bias", vec![kv], kept),
            ("attn_v.bias", "self_attn.v_proj.bias", vec![kv], kept),
        ]),
        Family::Qwen3 => parts.extend([
            ("attn_q_norm.weight", "self_attn.q_norm.weight", vec![head_dim], kept),
            ("attn_k_norm.weight", "self_attn.k_norm.weight", vec![head_dim], kept),
        ]),
    }
    let named = |(name, from, shape, order): (&str, &str, Vec<usize>, RowOrder)| Expected {
        name: name.to_owned(),
        from: from.to_owned(),
        shape,
        order,
    };
    parts.into_iter().map(named).collect()
}

/// Whether a tensor of a Hugging Face file may be left out: what it holds is computed.
pub(super) fn is_computed(name: &str) -> bool {
    name.ends_with(".rotary_emb.inv_freq")
}

#[cfg(test)]
mod tests;
