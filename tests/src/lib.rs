//! (header follows)
pub mod debian;
pub mod netns;
