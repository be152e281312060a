//! Vestibule, an authentication gateway: a reverse proxy that signs people in to web consoles.
//!
//! Find any code with two guesses: each *stage* of a request has a module of that name, each *page* a file
//! named for its URL. A request passes [`listener`] → [`route`] → [`authenticate`] → [`authorize`] →
//! [`identity`] → [`upstream`], each once, in that order; [`proxy`] is that path on one screen. Pages go
//! [`portal`] → [`services`] → [`store`]. [`model`] has the domain types, [`config`] the configuration,
//! [`text`] the texts of pages and mails, [`api`] the JSON representations, [`control`] the admin socket,
//! [`doctor`] checks from outside; [`app`] puts it all together.

pub mod api;
pub mod app;
pub mod authenticate;
pub mod authorize;
pub mod certified_key;
pub mod cli;
pub mod clock;
mod colour;
pub mod compression;
pub mod config;
pub mod control;
mod csv;
pub mod descriptors;
pub mod doctor;
mod gcra;
pub mod identity;
pub mod ids;
pub mod listener;
pub mod log_file;
pub mod log_line;
pub mod log_writer;
pub mod metrics;
pub mod model;
pub mod portal;
pub mod private_file;
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
