//! The program as a person or a script meets it.

mod basics;
mod costs;
mod demo;
mod devices;
mod doctor;
mod events;
mod gc;
mod handles;
mod heads;
mod hints;
mod history;
mod hook;
mod hooks;
mod logged;
mod modes;
mod newer;
mod purge;
mod refusals;
mod remains;
pub mod repair;
mod shortened;
mod small;
mod trials;
mod trust;
mod verify;
mod waiting;
