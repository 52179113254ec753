//! Rebuilding: state and views thrown away and made again from the log.

use super::ViewsFollower;
use crate::engine::{Failure, Follower, Rebuilder, StateFollower, catch_up, wipe_stranger};
use crate::store::{Faces, Home, Read};
use crate::views;
use std::sync::Arc;

fn fault(e: impl std::fmt::Display) -> Failure {
    Failure::Unavailable(e.to_string())
}

/// Brings state and views to the end of the log, as an opening would. Gives the reader back.
pub(super) fn follow(home: &Home, faces: Faces) -> Result<Arc<dyn Read>, Failure> {
    let Faces { log: _log, state, reader } = faces;
    let mut state = StateFollower::new(state, None)?;
    wipe_stranger(&mut state, &*reader)?;
    let mut rebuilder = Rebuilder::new();
    while rebuilder.step(&*reader, &mut state)? {}
    let mut views = ViewsFollower(views::Views::open(home).map_err(fault)?);
    wipe_stranger(&mut views, &*reader)?;
    catch_up(&mut views, &*reader)?;
    Ok(reader)
}

/// Makes state and views anew. Returns how many entries the log has.
pub fn rebuild(home: impl Into<Home>, progress: &mut dyn FnMut(u64, u64)) -> Result<u64, Failure> {
    let home = home.into();
    if !home.exists().map_err(fault)? {
        return Err(fault(format!("{} holds no network", home.shown())));
    }
    let Faces { log: _log, state, reader } = home.open().map_err(fault)?;
    let size = reader.tip().map_err(fault)?.map_or(0, |tip| tip.seq + 1);
    let mut state = StateFollower::new(state, None)?;
    state.wipe()?;
    let mut rebuilder = Rebuilder::new();
    while rebuilder.step(&*reader, &mut state)? {
        progress(state.cursor()?.map_or(0, |place| place.seq + 1), size);
    }
    let mut views = ViewsFollower(views::Views::open(&home).map_err(fault)?);
    views.wipe()?;
    catch_up(&mut views, &*reader)?;
    Ok(size)
}
