//! What real git says of our objects: the same ids, and a clean bill for an exported history.

mod export;
mod ids;
