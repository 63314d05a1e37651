#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;
