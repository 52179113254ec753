//! What the server asks of the system: open files, and connections that do not outlive their reader.
//!
//! Owns: two system calls that the standard library lacks.
//! Promises: a system that refuses them is no error; the bounds are then its own.
//! Refuses to know: requests.

use actix_web::rt::net::TcpStream;
use rustix::net::sockopt::set_tcp_user_timeout;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::any::Any;

/// Lets this process open so many files, if the system allows as many; how many it may open then.
pub fn open_files(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current.unwrap_or(u64::MAX);
    let most = wanted.min(maximum.unwrap_or(u64::MAX));
    if current >= most {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum }) {
        Ok(()) => most,
        Err(_) => current,
    }
}

/// Closes a connection when its reader took nothing for this long: an answer that nobody reads takes memory.
pub(super) fn give_up_after(stream: &dyn Any, milliseconds: u64) {
    if let Some(stream) = stream.downcast_ref::<TcpStream>() {
        let milliseconds = u32::try_from(milliseconds).unwrap_or(u32::MAX);
        if let Err(error) = set_tcp_user_timeout(stream, milliseconds) {
            tracing::warn!(%error, "a connection without a bound for its reader");
        }
    }
}
