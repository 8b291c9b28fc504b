//! The program as a person or a script meets it.

mod basics;
mod costs;
mod demo;
mod devices;
mod doctor;
mod events;
mod gc;
mod handles;
mod history;
mod hook;
mod hooks;
mod modes;
