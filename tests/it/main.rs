//! The integration tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a test rests on must be there, or the test fails; what it measured it says"
)]

mod approval;
mod audit;
mod backendai_session;
mod broken;
mod build_tools;
mod commands;
mod config;
mod descriptors;
mod doctor;
mod explain;
mod floods;
mod harness;
mod held_back;
mod kill;
mod large_heads;
mod layering;
mod listener;
mod log_lines;
mod lost_changes;
mod mail;
mod measured;
mod metrics;
mod moved;
mod page_account;
mod page_activity;
mod page_admin;
mod page_admin_account;
mod page_admin_accounts;
mod page_admin_groups;
mod page_admin_invitations;
mod page_admin_sessions;
mod page_audit;
mod page_email;
mod page_export;
mod page_forgot;
mod page_login_iam;
mod page_refusal;
mod page_reset;
mod page_return;
mod page_sign_in;
mod page_sign_up;
mod page_username;
mod page_verify;
mod pages;
mod postgres;
mod reload;
mod second_resource;
mod security_map;
mod settings;
mod signed;
mod signup_matrix;
mod starting;
mod stopping;
mod store;
mod terms;
mod unanswered_files;
mod unwritable_log;
mod warnings;
mod way_access_log;
mod way_answer;
mod way_balance;
mod way_compression;
mod way_forward;
mod way_framing;
mod way_h2c;
mod way_hedge;
mod way_host;
mod way_identity;
mod way_limits;
mod way_plain;
mod way_policy;
mod way_rates;
mod way_response_headers;
mod way_route;
mod way_route_limits;
mod way_smuggling;
mod way_strip_prefix;
mod way_tls;
mod way_websocket;
mod way_websocket_http2;
