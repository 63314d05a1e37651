#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::*;
use crate::Secret;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Log {
    /// Which log.
    kind: Kind,
    path: PathBuf,
    kafka: Kafka,
    listen: Option<SocketAddr>,
    retries: u8,
    ratio: f64,
}

impl Default for Log {
    fn default() -> Self {
        let (path, kafka) = ("log.db".into(), Kafka::default());
        Self { kind: Kind::Embedded, path, kafka, listen: None, retries: 3, ratio: 0.5 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// One machine.
    Embedded,
    /// Many.
    Kafka,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Kafka {
    brokers: Vec<String>,
    client_id: String,
    properties: BTreeMap<String, String>,
}

impl Validate for Log {
    fn validate(&self, at: &str, out: &mut Violations) {
        if self.kind == Kind::Kafka && self.kafka.brokers.is_empty() {
            out.push(format!("{at}.kafka.brokers"), "is empty; name at least one broker as host:port");
        }
        if !(0.0..=1.0).contains(&self.ratio) {
            out.push(format!("{at}.ratio"), "is not a share; use 0 to 1");
        }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Store {
    password: Option<Secret>,
    targets: Vec<Target>,
    backend: Backend,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Target {
    name: String,
    #[serde(default)]
    weight: u32,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Backend {
    #[default]
    Memory,
    Disk {
        path: PathBuf,
    },
}

impl Validate for Store {
    fn validate(&self, at: &str, out: &mut Violations) {
        if self.targets.iter().any(|target| target.weight > 100) {
            out.push(format!("{at}.targets"), "has a weight over 100");
        }
    }
}

fn settings(text: &str, environment: &[(&str, &str)]) -> Settings {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::parse("precis.toml", text, environment).unwrap()
}

fn log(text: &str, environment: &[(&str, &str)]) -> Log {
    settings(text, environment).section("log").unwrap()
}

/// What is wrong, one line each.
fn wrong<T: Section>(name: &str, text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    match settings(text, environment).section::<T>(name) {
        Err(ConfigError::Invalid(violations)) => violations.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("nothing is wrong"),
    }
}

#[test]
fn nothing_set_is_all_defaults() {
    assert_eq!(log("", &[]), Log::default());
    assert_eq!(log("[store]\n", &[]), Log::default());
}

#[test]
fn the_file_sets_and_the_environment_wins() {
    let text = "[log]\nretries = 5\n[log.kafka]\nclient_id = \"file\"\nbrokers = [\"a:1\"]\n";
    let read = log(text, &[("PRECIS_LOG__KAFKA__CLIENT_ID", "environment")]);
    assert_eq!(read.retries, 5);
    assert_eq!(read.kafka.client_id, "environment");
    assert_eq!(read.kafka.brokers, ["a:1"]);
}

#[test]
fn variables_are_read_as_their_keys_ask() {
    let read = log(
        "",
        &[
            ("PRECIS_LOG__KIND", "kafka"),
            ("PRECIS_LOG__RETRIES", "7"),
            ("PRECIS_LOG__RATIO", "1"),
            ("PRECIS_LOG__LISTEN", "127.0.0.1:80"),
            ("PRECIS_LOG__KAFKA__CLIENT_ID", "12345"),
            ("PRECIS_LOG__KAFKA__BROKERS", "a:1, b:2"),
            ("PRECIS_LOG__KAFKA__PROPERTIES", "{ \"compression.type\" = \"zstd\" }"),
        ],
    );
    assert_eq!((read.kind, read.retries, read.ratio), (Kind::Kafka, 7, 1.0));
    assert_eq!(read.listen, Some("127.0.0.1:80".parse().unwrap()));
    assert_eq!(read.kafka.client_id, "12345", "a text of digits is a text");
    assert_eq!(read.kafka.brokers, ["a:1", "b:2"]);
    assert_eq!(read.kafka.properties["compression.type"], "zstd");
    let listed =
        log("", &[("PRECIS_LOG__KAFKA__BROKERS", "[\"a,1\", \"b\"]"), ("PRECIS_LOG__KAFKA__PROPERTIES__ACKS", "all")]);
    assert_eq!(listed.kafka.brokers, ["a,1", "b"]);
    assert_eq!(listed.kafka.properties["acks"], "all");
}

#[test]
fn variables_that_are_not_settings_are_left_alone() {
    let read = log(
        "",
        &[("PRECIS_TEST_KAFKA", "x"), ("OTHER__LOG__RETRIES", "9"), ("PATH", "/bin"), ("precis_log__retries", "9")],
    );
    assert_eq!(read, Log::default());
}

#[test]
fn everything_wrong_is_told_at_once() {
    let text = "
[log]
kind = \"kafak\"
retries = \"three\"
ratio = 7.5
pth = \"x\"
[log.kafka]
brokers = [1]
[surprise]
";
    let wrong = wrong::<Log>("log", text, &[("PRECIS_LOG__LISTEN", "nowhere"), ("PRECIS_LOG__KAFKA__FOO", "1")]);
    let all = wrong.join("\n");
    for part in [
        "surprise is not a known section; known: log, store,",
        "log.kind must be one of \"embedded\", \"kafka\"",
        "log.retries must be integer, not a string",
        "log.pth is not a known key; known here: kafka, kind, listen, path, ratio, retries",
        "log.kafka.brokers[0] must be string, not an integer",
        "log.kafka.foo is not a known key; known here: brokers, client_id, properties (set by PRECIS_LOG__KAFKA__FOO)",
    ] {
        assert!(all.contains(part), "{part} in\n{all}");
    }
    assert_eq!(wrong.len(), 6, "{all}");
}

/// Wrong keys are removed, and rules over typed values are checked on the rest.
#[test]
fn rules_are_checked_beside_wrong_keys() {
    let wrong = wrong::<Log>("log", "[log]\nkind = \"kafka\"\nratio = 7.5\npth = 1\n", &[]);
    assert_eq!(
        wrong,
        [
            "log.pth is not a known key; known here: kafka, kind, listen, path, ratio, retries",
            "log.kafka.brokers is empty; name at least one broker as host:port",
            "log.ratio is not a share; use 0 to 1",
        ]
    );
}

#[test]
fn a_value_that_only_its_type_can_judge_is_told() {
    let wrong = wrong::<Log>("log", "[log]\nlisten = \"nowhere\"\n", &[]);
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].starts_with("log") && wrong[0].contains("invalid socket address"), "{}", wrong[0]);
}

#[test]
fn numbers_have_bounds() {
    assert_eq!(wrong::<Log>("log", "[log]\nretries = 256\n", &[]), ["log.retries must be at most 255, not 256"]);
    assert_eq!(
        wrong::<Log>("log", "", &[("PRECIS_LOG__RETRIES", "-1")]),
        ["log.retries must be at least 0, not -1 (set by PRECIS_LOG__RETRIES)"]
    );
}

#[test]
fn several_sections_are_told_together() {
    let settings = settings("[log]\nretries = true\n[store]\nnope = 1\n", &[("PRECIS_STROE__NOPE", "1")]);
    let mut reader = settings.read();
    let _: Log = reader.section("log");
    let _: Store = reader.section("store");
    let error = reader.finish().unwrap_err();
    assert_eq!(error.code(), "config_invalid");
    let text = error.to_string();
    assert!(text.starts_with("3 settings are wrong:\n"), "{text}");
    for key in ["  log.retries ", "  store.nope ", "  stroe.nope is not a known section"] {
        assert!(text.contains(key), "{key} in {text}");
    }
}

#[test]
fn a_section_must_be_a_table_and_so_must_its_tables() {
    assert_eq!(wrong::<Log>("log", "log = 1\n", &[]), ["log must be a table, not an integer"]);
    assert_eq!(wrong::<Log>("log", "[log]\nkafka = \"a:1\"\n", &[]), ["log.kafka must be a table, not a string"]);
    assert_eq!(
        wrong::<Log>("log", "", &[("PRECIS_LOG__RETRIES__MORE", "1")]),
        ["log.retries must be integer, not a table"]
    );
}

#[test]
fn lists_of_tables_are_read_and_checked() {
    let store: Store = settings("[[store.targets]]\nname = \"a\"\nweight = 2\n", &[]).section("store").unwrap();
    assert_eq!(store.targets, [Target { name: "a".to_owned(), weight: 2 }]);
    let wrong = wrong::<Store>("store", "[[store.targets]]\nweight = 2\nnmae = \"a\"\n", &[]);
    assert_eq!(
        wrong,
        [
            "store.targets[0].nmae is not a known key; known here: name, weight",
            "store.targets[0].name is missing; set it"
        ]
    );
}

#[test]
fn tagged_tables_are_checked_against_the_branch_they_chose() {
    let store: Store = settings("[store.backend]\nkind = \"disk\"\npath = \"/x\"\n", &[]).section("store").unwrap();
    assert_eq!(store.backend, Backend::Disk { path: "/x".into() });
    assert_eq!(
        wrong::<Store>("store", "[store.backend]\nkind = \"disk\"\npth = \"/x\"\n", &[]),
        ["store.backend.pth is not a known key; known here: kind, path", "store.backend.path is missing; set it"]
    );
    assert_eq!(
        wrong::<Store>("store", "[store.backend]\nkind = \"tape\"\n", &[]),
        ["store.backend.kind must be one of \"memory\", \"disk\""]
    );
    let disk = settings("", &[("PRECIS_STORE__BACKEND__KIND", "disk"), ("PRECIS_STORE__BACKEND__PATH", "7")]);
    assert_eq!(disk.section::<Store>("store").unwrap().backend, Backend::Disk { path: "7".into() });
}

#[test]
fn secrets_are_read_and_never_shown() {
    let settings = settings("[store]\n", &[("PRECIS_STORE__PASSWORD", "hunter2")]);
    let store: Store = settings.section("store").unwrap();
    assert_eq!(store.password.as_ref().unwrap().expose(), "hunter2");
    let shown = format!("{}{store:?}{settings:?}", settings.render_redacted());
    assert!(shown.contains("password = \"[redacted]\""), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn wrong_values_are_not_repeated() {
    let wrong = wrong::<Store>("store", "[store]\npassword = [\"hunter2\"]\nbackend = \"hunter2\"\n", &[]).join("\n");
    assert!(!wrong.contains("hunter2"), "{wrong}");
    let error = Settings::parse("precis.toml", "[store]\npassword = hunter2\n", []).unwrap_err();
    assert_eq!(error.code(), "config_syntax");
    assert!(error.to_string().contains("precis.toml") && error.to_string().contains("line 2"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn what_is_in_force_is_shown_for_the_sections_read() {
    let settings = settings("[log]\nretries = 9\n[store]\nnope = 1\n", &[("PRECIS_LOG__KAFKA__BROKERS", "a:1")]);
    assert_eq!(settings.render_redacted(), "");
    let read: Log = settings.section("log").unwrap();
    let shown = settings.render_redacted();
    let again = Settings::parse("shown", &shown, []).unwrap().section::<Log>("log").unwrap();
    assert_eq!(again, read, "{shown}");
    assert!(shown.starts_with("[log]\n") && shown.contains("path = \"log.db\""), "{shown}");
    assert!(!shown.contains("store"), "{shown}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Settings::load(Some(Path::new("/nowhere/precis.toml"))).unwrap_err();
    assert_eq!(error.code(), "config_unreadable");
    assert!(error.to_string().contains("/nowhere/precis.toml"), "{error}");
    assert!(Settings::load(None).is_ok());
}

#[test]
fn problem_lines_become_violations_with_keys() {
    let mut violations = Violations::default();
    violations.extend_lines("log", ["kafka.brokers: is empty", "`threads` must be 1: or more"]);
    let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["log.kafka.brokers is empty", "log `threads` must be 1: or more"]);
}

/// A file, a zero byte, then variables, one a line.
#[test]
fn broken_files_and_variables_are_survived() {
    let file = "[log]\nretries = 5\nratio = 0.25\n[log.kafka]\nbrokers = [\"a:1\"]\n\n[store]\npassword = \"p\"\nbackend = { kind = \"disk\", path = \"/d\" }\n\
                [[store.targets]]\nname = \"t\"\nweight = 7\n";
    let variables = "PRECIS_LOG__KIND=kafka\nPRECIS_LOG__KAFKA__BROKERS=a:1, b:2\nPRECIS_STORE__TARGETS=[{ name = \"t\" }]\n\
                     PRECIS_LOG__KAFKA__PROPERTIES={ \"acks\" = \"all\" }\nPRECIS_STORE__BACKEND__KIND=disk";
    let whole = format!("{file}\0{variables}").into_bytes();
    precis_fuzz::survives("settings", &[whole, file.as_bytes().to_vec()], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let (file, variables) = text.split_once('\0').unwrap_or((&text, ""));
        let variables = variables.lines().filter_map(|line| line.split_once('='));
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let Ok(settings) = Settings::parse("precis.toml", file, variables) else { return };
        let mut reader = settings.read();
        let _: (Log, Store) = (reader.section("log"), reader.section("store"));
        let _ = reader.finish().map_err(|error| error.to_string());
        assert!(settings.render_redacted().parse::<toml::Table>().is_ok());
    });
}
