//! The program. Everything is in the library, see `cli`.

use std::process::ExitCode;

/// Commands are made on one thread, decided on another and freed on a third: the system's allocator spends a
/// quarter of the writer's time on that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tallyhouse::cli::main()
}
