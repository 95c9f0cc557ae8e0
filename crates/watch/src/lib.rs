//! Who hears of which change: range index, cursors, catch-up, each event encoded once.
