//! A numbered course of runnable programs.
