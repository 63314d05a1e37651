#![allow(clippy::unwrap_used)]

use super::*;

fn parse(arguments: &[&str]) -> Result<Arguments, clap::Error> {
    Arguments::read("router", ["precis-router"].iter().chain(arguments).map(OsString::from))
}

#[test]
fn definitions_are_consistent() {
    Arguments::command().debug_assert();
}

/// Of options that exclude each other, and of one that is repeated, the last one counts.
#[test]
fn last_option_counts() {
    let parsed = parse(&["--config", "a.toml", "--config", "b.toml", "--check-config", "--print-config"]).unwrap();
    assert_eq!(parsed, Arguments { config: Some("b.toml".into()), check_config: false, print_config: true });
    let parsed = parse(&["--config", "a.toml", "--print-config", "--check-config"]).unwrap();
    assert_eq!(parsed, Arguments { config: Some("a.toml".into()), check_config: true, print_config: false });
}

#[test]
fn help_and_version_name_the_service_and_are_no_failure() {
    for (option, text) in [("--help", "Usage: precis-router [OPTIONS]"), ("--version", "precis-router ")] {
        let answer = parse(&[option]).unwrap_err();
        assert!(!answer.use_stderr());
        assert!(answer.to_string().contains(text), "{answer}");
    }
}

#[test]
fn unknown_arguments_and_missing_files_are_wrong_usage() {
    for arguments in [["--frobnicate"].as_slice(), &["extra"], &["--config"]] {
        let answer = parse(arguments).unwrap_err();
        assert!(answer.use_stderr(), "{answer}");
    }
}
