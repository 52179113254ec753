//! Tools that are not ours: Python and Node, with packages from their indexes, in environments of their own.
//!
//! Owns: the environments that the scripts of `tests/interop` run in, which are made under the target folder
//! (`interop`) by the ordinary clients of the two package indexes.
//! Promises: a missing Python (3.12 or newer) or Node fails the tests and says what to install.
//! Refuses to know: what the scripts do.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

static PYTHON: LazyLock<PathBuf> = LazyLock::new(python);
static NODE: LazyLock<PathBuf> = LazyLock::new(node_folder);

pub fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// Where environments and data live: `interop` in the target folder.
pub fn workshop() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../interop");
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder.canonicalize().expect("it is there")
}

pub fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

pub fn must_run(command: &mut Command, advice: &str) -> String {
    let output = run(command);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed. {advice}\n{out}{err}");
    out.into_owned()
}

/// Whether the environment was made for this list of packages already; if not, `make` makes it.
fn once(folder: &Path, wanted: &str, make: impl FnOnce()) {
    let mark = folder.join("made-for");
    if std::fs::read_to_string(&mark).is_ok_and(|have| have == wanted) {
        return;
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder).expect("an old environment can be removed");
    }
    std::fs::create_dir_all(folder).expect("the target folder can be written");
    make();
    std::fs::write(mark, wanted).expect("the target folder can be written");
}

/// A Python of 3.12 or newer that can make environments.
fn find_python() -> PathBuf {
    let named = ["python3", "python3.14", "python3.13", "python3.12"].map(PathBuf::from);
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let pyenv = pyenv.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv")));
    let versions = pyenv.and_then(|root| std::fs::read_dir(root.join("versions")).ok());
    let mut installed: Vec<PathBuf> =
        versions.into_iter().flatten().flatten().map(|entry| entry.path().join("bin/python3")).collect();
    installed.sort();
    let suits = |python: &&PathBuf| {
        let question = "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 12))";
        Command::new(python).args(["-c", question]).output().is_ok_and(|output| output.status.success())
    };
    let found = named.iter().chain(&installed).find(suits);
    found.cloned().unwrap_or_else(|| {
        panic!("Python 3.12 or newer with venv is needed: apt install python3-venv, or pyenv install 3.13; ./test does it")
    })
}

/// The Python of an environment that has the packages of requirements.txt.
fn python() -> PathBuf {
    let folder = workshop().join("python");
    let list = scripts().join("requirements.txt");
    let wanted = std::fs::read_to_string(&list).expect("requirements.txt");
    let python = folder.join("bin/python");
    once(&folder, &wanted, || {
        must_run(Command::new(find_python()).args(["-m", "venv"]).arg(&folder), "apt install python3-venv");
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&list);
        must_run(&mut pip, "The Python package index must be in reach.");
    });
    python
}

/// A folder with the packages of package.json and the script that uses them.
fn node_folder() -> PathBuf {
    let folder = workshop().join("node");
    let wanted = std::fs::read_to_string(scripts().join("package.json")).expect("package.json");
    once(&folder, &wanted, || {
        let advice = "Node 20 or newer with npm is needed: apt install nodejs npm; ./test does it";
        for tool in ["node", "npm"] {
            let there =
                Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
            assert!(there, "{tool} does not run. {advice}");
        }
        std::fs::write(folder.join("package.json"), &wanted).expect("the target folder can be written");
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]);
        must_run(npm.current_dir(&folder), "The npm registry must be in reach.");
    });
    for entry in std::fs::read_dir(scripts()).expect("the scripts").flatten() {
        if entry.path().extension().is_some_and(|end| end == "mjs") {
            std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("a script");
        }
    }
    folder
}

pub fn python_script(name: &str) -> Command {
    let mut command = Command::new(&*PYTHON);
    command.arg("-B").arg(scripts().join(name));
    command
}

pub fn node_script(name: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(NODE.join(name));
    command
}

/// Runs a script that must be content, and must say so in its own name.
pub fn accepts(command: &mut Command, name: &str) -> String {
    let said = must_run(command, "");
    assert!(said.starts_with(&format!("{name}: ")), "{said}");
    println!("{}", said.trim_end());
    said
}

/// Runs a script that must object, in its own words rather than by falling over.
pub fn rejects(command: &mut Command, name: &str) {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{command:?} is content: {}", String::from_utf8_lossy(&output.stdout));
    assert!(said.contains(&format!("{name}: ")) && !said.contains("Traceback"), "{said}");
}
