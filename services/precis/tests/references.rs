//! The pages under `docs/reference` are what the code says.
//!
//! After a change of a setting, a metric, a code or a command:
//! `UPDATE_DOCS=1 cargo test -p precis --test references`.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::CommandFactory as _;

#[test]
fn configuration_page_is_generated_from_the_types() {
    let head = "# Configuration\n\nOne TOML file serves all services (`--config` or `PRECIS_CONFIG`); the environment variable of a \
                setting overrides\nit. `--check-config` tells everything that is wrong at once; `--print-config` shows what is in \
                force, with\nsecrets redacted. This page is the output of `precis config reference`.\n\n";
    compare("configuration.md", &format!("{head}{}", printed(&["config", "reference"])));
}

#[test]
fn metrics_page_is_generated_from_the_catalogue() {
    let head = "# Metrics\n\nEvery service serves them on `/metrics`, for Prometheus. This page is the output of `precis config \
                metrics`;\nalert rules are in [infra/prometheus](../../infra/prometheus/alerts.yml).\n\n";
    compare("metrics.md", &format!("{head}{}", printed(&["config", "metrics"])));
}

#[test]
fn codes_page_is_generated_from_the_list() {
    let head = "# Codes\n\nEvery record ends as an outcome on `summaries` or as a dead letter, with a code that does not \
                change; the message\nbeside it has the numbers. Codes are labels of metrics, headers of dead letters \
                (`precis-code`) and rows of the\n[runbook](../operate/runbook.md). This page is the output of `precis config \
                codes`.\n\n";
    compare("codes.md", &format!("{head}{}", printed(&["config", "codes"])));
}

#[test]
fn command_line_page_is_generated_from_the_help() {
    let mut page = "# Command line\n\nWhat `precis help COMMAND` prints, for every command.\n\n```text\n".to_owned();
    let mut root = precis::cli::Cli::command().term_width(100);
    root.build();
    page.push_str(&plain(&mut root));
    page.push_str("```\n");
    let names: Vec<_> = root.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names.iter().filter(|name| *name != "help") {
        let command = root.find_subcommand_mut(name).unwrap();
        write!(page, "\n## precis {name}\n\n```text\n{}```\n", plain(command)).unwrap();
        let actions: Vec<_> = command.get_subcommands().map(|action| action.get_name().to_owned()).collect();
        for action in actions.iter().filter(|action| *action != "help") {
            let text = plain(command.find_subcommand_mut(action).unwrap());
            write!(page, "\n### precis {name} {action}\n\n```text\n{text}```\n").unwrap();
        }
    }
    compare("cli.md", &page);
}

/// The long help of a command as plain lines, without what every command's help repeats.
fn plain(command: &mut clap::Command) -> String {
    let text = command.render_long_help().to_string();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>().trim_end().to_owned() + "\n"
}

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_precis")).args(arguments).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned() + "\n"
}

fn compare(page: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, expected).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/reference/{page} is old: UPDATE_DOCS=1 cargo test -p precis --test references");
}
