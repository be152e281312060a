//! Lockout: too many failures for a name.
