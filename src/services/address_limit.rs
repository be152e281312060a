//! Too many failures from one address.
