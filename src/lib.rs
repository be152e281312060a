//! Vestibule: the front door of web consoles.
//!
//! Find any code with two guesses: a *stage* of the request has a module named for it, a *page* has a file named
//! for its URL. The way of a request is [`listener`] → [`route`] → [`authenticate`] → [`authorize`] → [`identity`] →
//! [`upstream`], each once, in that order; [`proxy`] is that path on one screen. The pages are [`portal`] →
//! [`services`] → [`store`]. [`model`] is what is known about people, [`config`] what the operator says, [`text`] what
//! people read, [`api`] what programs read, [`control`] what administrators ask of a running gateway, [`doctor`] looks at it from outside, and [`app`] puts it all
//! together.

pub mod api;
pub mod app;
pub mod authenticate;
pub mod authorize;
pub mod cli;
pub mod clock;
mod colour;
pub mod config;
pub mod control;
pub mod descriptors;
pub mod doctor;
pub mod identity;
pub mod ids;
pub mod listener;
pub mod log_file;
pub mod log_line;
pub mod log_writer;
pub mod metrics;
pub mod model;
pub mod portal;
pub mod proxy;
pub mod random;
pub mod refusal;
pub mod regular_file;
pub mod request;
pub mod route;
pub mod secret;
pub mod services;
pub mod store;
pub mod system_user;
pub mod text;
pub mod trust_anchors;
pub mod unix_socket;
pub mod upstream;
pub mod warning_limit;
