//! Key files: `DIR/keys/<owner>/<name>.jwk`, and what else under `DIR/keys` is secret.
//!
//! Owns: where the keys of the operator, of brands and of wallets lie, and who may read the files.
//! Promises: a new file is readable by its owner alone (0600), is on disk when this returns, and never
//! takes the place of another.
//! Refuses to know: what a key is for and whether the network knows it.

use super::{Fault, WalletId};
use crate::clock;
use crate::sign::SecretKey;
use crate::types::{BrandId, Ident, Malformed, b64, b64_decode};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Whose key it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner {
    /// The operator: folder `operator`.
    Operator,
    /// A brand: a folder of its id.
    Brand(BrandId),
}

impl Owner {
    /// As certificates name it: `op` or the brand's id.
    pub fn principal(&self) -> &str {
        match self {
            Self::Operator => "op",
            Self::Brand(brand) => brand.as_str(),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operator => "operator",
            Self::Brand(brand) => brand.as_str(),
        })
    }
}

impl FromStr for Owner {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text {
            "operator" | "op" => Ok(Self::Operator),
            brand => brand.parse().map(Self::Brand).map_err(|_| {
                Malformed(format!("{text:?} owns no keys: operator, or a brand's id such as br_harvest"))
            }),
        }
    }
}

/// The folder `DIR/keys`.
#[derive(Clone, Debug)]
pub struct KeyFolder {
    dir: PathBuf,
}

impl KeyFolder {
    /// The key folder of a data folder; nothing is made or read yet.
    pub fn at(data: &Path) -> Self {
        Self { dir: data.join("keys") }
    }

    /// Makes a key of fresh randomness.
    pub fn create(&self, owner: &Owner, name: &Ident) -> Result<SecretKey, Fault> {
        let key = SecretKey::from_seed(clock::random());
        self.put(owner, name, &key)?;
        Ok(key)
    }

    /// Writes a key that was made elsewhere.
    pub fn put(&self, owner: &Owner, name: &Ident, key: &SecretKey) -> Result<(), Fault> {
        write_new(&self.path(owner, name), &(key.to_jwk_private() + "\n"))
    }

    /// Reads a key.
    pub fn load(&self, owner: &Owner, name: &Ident) -> Result<SecretKey, Fault> {
        let path = self.path(owner, name);
        let text = read(&path)?;
        SecretKey::from_jwk_private(text.trim_end()).map_err(|why| Fault::BadKey { path, why })
    }

    /// The keys of the operator and of brands, sorted. Files that are not of this form are passed over.
    pub fn list(&self) -> Result<Vec<(Owner, Ident)>, Fault> {
        let mut all = vec![];
        for folder in names(&self.dir)? {
            // `op` is how a certificate writes the owner, not how the folder is called.
            let Some(owner) = folder.parse::<Owner>().ok().filter(|owner| owner.to_string() == folder) else {
                continue;
            };
            let files = names(&self.dir.join(&folder))?;
            let keys = files.iter().filter_map(|file| file.strip_suffix(".jwk")?.parse::<Ident>().ok());
            all.extend(keys.map(|name| (owner.clone(), name)));
        }
        all.sort();
        Ok(all)
    }

    /// Where a key lies.
    pub fn path(&self, owner: &Owner, name: &Ident) -> PathBuf {
        self.dir.join(owner.to_string()).join(format!("{name}.jwk"))
    }

    /// Makes the seed of a wallet: what its holder's phone keeps. The keys of its accounts come from it,
    /// see [`SecretKey::derive`].
    pub fn create_seed(&self, wallet: WalletId) -> Result<[u8; 32], Fault> {
        let seed = clock::random();
        self.put_seed(wallet, &seed)?;
        Ok(seed)
    }

    /// Writes a seed that was made elsewhere.
    pub fn put_seed(&self, wallet: WalletId, seed: &[u8; 32]) -> Result<(), Fault> {
        write_new(&self.seed_path(wallet), &(b64(seed) + "\n"))
    }

    /// Reads the seed of a wallet.
    pub fn seed(&self, wallet: WalletId) -> Result<[u8; 32], Fault> {
        secret(&self.seed_path(wallet))
    }

    /// Where a wallet's seed lies: 32 bytes in base64url.
    pub fn seed_path(&self, wallet: WalletId) -> PathBuf {
        self.dir.join("wallets").join(wallet.to_string())
    }

    /// Writes another text that nobody else may read.
    pub fn put_note(&self, name: &str, text: &str) -> Result<(), Fault> {
        write_new(&self.note_path(name), text)
    }

    /// Where such a text lies.
    pub fn note_path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where the key of the vault lies.
    pub fn vault_path(&self) -> PathBuf {
        self.dir.join("vault.key")
    }
}

/// The names in a folder; none if there is no such folder. What is no UTF-8 is not ours.
fn names(dir: &Path) -> Result<Vec<String>, Fault> {
    let broken = |source| Fault::File { path: dir.to_path_buf(), source };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(vec![]);
        }
        Err(e) => return Err(broken(e)),
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
    names.filter_map(Result::transpose).collect::<io::Result<_>>().map_err(broken)
}

fn read(path: &Path) -> Result<String, Fault> {
    fs::read_to_string(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Fault::NoKey(path.to_path_buf()),
        _ => Fault::File { path: path.to_path_buf(), source },
    })
}

/// A file of 32 secret bytes in base64url.
pub(super) fn secret(path: &Path) -> Result<[u8; 32], Fault> {
    let text = read(path)?;
    let bytes = b64_decode(text.trim_end()).ok().and_then(|bytes| bytes.try_into().ok());
    // What stands in the file is not repeated: most of it may be the secret.
    let why = || Malformed("not a secret of 32 bytes: 43 characters of base64url are wanted".into());
    bytes.ok_or_else(|| Fault::BadKey { path: path.to_path_buf(), why: why() })
}

/// Writes a secret where nothing stands yet.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), Fault> {
    match try_write_new(path, text) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(Fault::KeyExists(path.to_path_buf())),
        Err(source) => Err(Fault::File { path: path.to_path_buf(), source }),
    }
}

fn try_write_new(path: &Path, text: &str) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    make_private(dir)?;
    let mut file = private().open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key would be in the way of a whole one.
        let _ = fs::remove_file(path);
    }
    written.and_then(|()| File::open(dir)?.sync_all())
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    options
}

#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::UnitCode;

    fn name(text: &str) -> Ident {
        text.parse().expect("a name")
    }

    #[test]
    fn a_key_there_and_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let keys = KeyFolder::at(dir.path());
        assert_eq!(keys.list().expect("none"), []);
        let brand: Owner = "br_harvest".parse().expect("a brand");
        let made = keys.create(&brand, &name("issuing")).expect("a key");
        keys.create(&Owner::Operator, &name("root-1")).expect("a key");
        keys.create(&brand, &name("a.b")).expect("a key");
        assert_eq!(keys.load(&brand, &name("issuing")).expect("the key").public(), made.public());
        let listed =
            [(Owner::Operator, name("root-1")), (brand.clone(), name("a.b")), (brand, name("issuing"))];
        assert_eq!(keys.list().expect("three"), listed);
        assert!(dir.path().join("keys/br_harvest/issuing.jwk").exists());
    }

    #[test]
    fn a_seed_is_the_wallets_and_gives_the_keys_of_its_accounts() {
        let dir = tempfile::tempdir().expect("a folder");
        let keys = KeyFolder::at(dir.path());
        let wallet = WalletId(7);
        let seed = keys.create_seed(wallet).expect("a seed");
        assert_eq!(keys.seed(wallet).expect("the seed"), seed);
        assert!(dir.path().join(format!("keys/wallets/{wallet}")).exists());
        assert!(matches!(keys.create_seed(wallet), Err(Fault::KeyExists(_))));
        assert!(matches!(keys.seed(WalletId(8)), Err(Fault::NoKey(_))));
        let unit: UnitCode = "HARVEST".parse().expect("a unit");
        assert_eq!(SecretKey::derive(&seed, unit).public(), SecretKey::derive(&seed, unit).public());
        assert_eq!(keys.list().expect("no keys of owners"), []);
    }

    #[test]
    fn keys_are_never_overwritten_and_errors_keep_the_secret() {
        let dir = tempfile::tempdir().expect("a folder");
        let keys = KeyFolder::at(dir.path());
        let (owner, root) = (Owner::Operator, name("root-1"));
        let key = keys.create(&owner, &root).expect("a key");
        assert!(matches!(keys.create(&owner, &root), Err(Fault::KeyExists(_))));
        assert_eq!(keys.load(&owner, &root).expect("unharmed").public(), key.public());
        assert!(matches!(keys.load(&owner, &name("root-2")), Err(Fault::NoKey(_))));
        let path = keys.path(&owner, &root);
        let text = fs::read_to_string(&path).expect("text");
        fs::write(&path, text.replace("\"d\"", "\"e\"")).expect("written");
        let fault = keys.load(&owner, &root).expect_err("no key any more").to_string();
        assert!(fault.contains("root-1.jwk") && !fault.contains(&b64(&key.seed())), "{fault}");
        fs::write(keys.vault_path(), "short").expect("written");
        assert!(matches!(secret(&keys.vault_path()), Err(Fault::BadKey { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_a_key() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a folder");
        let keys = KeyFolder::at(dir.path());
        keys.create(&Owner::Operator, &name("log")).expect("a key");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&keys.path(&Owner::Operator, &name("log"))), 0o600);
        assert_eq!(mode(&dir.path().join("keys/operator")), 0o700);
        assert_eq!(mode(&dir.path().join("keys")), 0o700);
    }

    #[test]
    fn owners_are_the_operator_and_brands() {
        assert_eq!("op".parse(), Ok(Owner::Operator));
        assert_eq!("operator".parse(), Ok(Owner::Operator));
        assert_eq!("br_a".parse::<Owner>().map(|owner| owner.principal().to_owned()), Ok("br_a".into()));
        for wrong in ["", "br_", "br_a/b", "..", "wallets", "pa_a"] {
            assert!(wrong.parse::<Owner>().is_err(), "{wrong}");
        }
    }
}
