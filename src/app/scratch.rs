//! A folder for what is made again while a log is verified.
//!
//! Owns: its name, and its end. Promises: nothing of it is left. Refuses to know: what is put there.

use std::path::PathBuf;

/// A folder that is gone when this is.
pub(super) struct Scratch(pub PathBuf);

impl Scratch {
    /// Makes one where the machine keeps what is temporary.
    pub fn make() -> Result<Self, String> {
        let name = format!(
            "tallyhouse-verify-{}-{}",
            std::process::id(),
            crate::types::hex(&crate::clock::random::<6>())
        );
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).map_err(|e| format!("no scratch folder {}: {e}", dir.display()))?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
