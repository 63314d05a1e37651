//! How texts are read, as arguments of a command.

use super::{Kind, ReadOptions};

/// How stdin and JSON Lines are read.
#[derive(Debug, Clone, clap::Args)]
pub struct TextInput {
    /// What `-` holds
    #[arg(long, value_enum, default_value_t = Kind::Text, value_name = "KIND")]
    stdin: Kind,
    /// Field with the text in JSON Lines
    #[arg(long, default_value = "text", value_name = "NAME")]
    text_field: String,
    /// Field with a reference summary in JSON Lines, against which the summary is measured
    #[arg(long, value_name = "NAME")]
    reference_field: Option<String>,
}

impl TextInput {
    /// The options of a reader.
    pub fn options(&self) -> ReadOptions {
        ReadOptions {
            text_field: self.text_field.clone(),
            reference_field: self.reference_field.clone(),
            stdin: self.stdin,
            ..ReadOptions::default()
        }
    }
}
