//! The guest's allocator: takes from the memory the module starts with, then grows it, and gives
//! back only the newest block. An instance's memory dies with it, which is after one call or, where
//! reuse is granted, once half of its room is taken up: freeing would be work for nothing; what
//! counts is to touch few pages and to grow rarely.
//!
//! Invariant: every block lies between `next` as it was and `next` as it is, so blocks are disjoint.

#![allow(unsafe_code, reason = "an allocator is unsafe by contract")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

/// A wasm page. Memory grows by at least this many bytes times [`GROW_PAGES`].
const PAGE_BYTES: usize = 65_536;
/// Growing costs a call to the host; a quarter of a MiB at a time keeps it rare.
const GROW_PAGES: usize = 4;

struct Bump {
    /// First free byte; 0 until the first allocation.
    next: Cell<usize>,
    /// End of the memory that is there.
    end: Cell<usize>,
}

// SAFETY: the guest has one thread.
unsafe impl Sync for Bump {}

#[global_allocator]
static ALLOCATOR: Bump = Bump { next: Cell::new(0), end: Cell::new(0) };

unsafe extern "C" {
    /// Set by the linker to the first byte after stack and data.
    static __heap_base: u8;
}

impl Bump {
    /// Moves `next` to `to`, growing the memory if it is too small. False if it cannot grow.
    fn reach(&self, to: usize) -> bool {
        if to > self.end.get() {
            let pages = (to - self.end.get()).div_ceil(PAGE_BYTES).max(GROW_PAGES);
            if core::arch::wasm32::memory_grow::<0>(pages) == usize::MAX {
                return false;
            }
            self.end.set(core::arch::wasm32::memory_size::<0>() * PAGE_BYTES);
        }
        self.next.set(to);
        true
    }
}

// SAFETY: blocks are aligned as asked, disjoint, and inside the memory (see the invariant).
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.next.get() == 0 {
            self.next.set((&raw const __heap_base).addr());
            self.end.set(core::arch::wasm32::memory_size::<0>() * PAGE_BYTES);
        }
        let Some(start) = self.next.get().checked_next_multiple_of(layout.align()) else {
            return core::ptr::null_mut();
        };
        let Some(to) = start.checked_add(layout.size()) else { return core::ptr::null_mut() };
        if self.reach(to) { start as *mut u8 } else { core::ptr::null_mut() }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block.addr() + layout.size() == self.next.get() {
            self.next.set(block.addr());
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if block.addr() + layout.size() == self.next.get() {
            // The newest block grows and shrinks in place.
            let Some(to) = block.addr().checked_add(size) else { return core::ptr::null_mut() };
            return if self.reach(to) { block } else { core::ptr::null_mut() };
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the caller promises a valid layout and that `block` holds `layout.size()` bytes.
        unsafe {
            let fresh = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !fresh.is_null() {
                core::ptr::copy_nonoverlapping(block, fresh, layout.size());
            }
            fresh
        }
    }
}
