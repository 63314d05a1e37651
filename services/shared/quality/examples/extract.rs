//! Extracts of a folder's texts: `loadtest/quality/extractive.py` compares them with others.
//!
//! ```text
//! cargo run -p precis-quality --example extract -- FOLDER WORDS
//! ```
//!
//! Beside each `NAME.txt` it writes `NAME.out`, a sentence a line, of at most so many words
//! together.

use std::error::Error;
use std::fs;

use precis_quality::extractive::{Limits, summary};
use precis_quality::language_of;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(words)) = (arguments.next(), arguments.next()) else {
        return Err("two arguments are needed: a folder, and how many words an extract may have".into());
    };
    let limits = Limits { max_words: words.parse()?, max_sentences: usize::MAX };
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "txt") {
            let text = fs::read_to_string(&path)?;
            let extract = summary(&text, language_of(&text), limits);
            fs::write(path.with_extension("out"), extract.sentences.join("\n"))?;
        }
    }
    Ok(())
}
