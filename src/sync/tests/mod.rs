//! Tests of sessions: whole ones between endpoints in temporary folders.

mod bundles;
mod cuts;
mod frames;
mod liars;
mod place;
mod purging;
mod restoring;
mod seeds;
mod sessions;
mod walks;
mod wedges;
