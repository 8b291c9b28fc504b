//! Whether a host delivered a boot.
