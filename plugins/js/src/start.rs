//! How `stepwell plugin build` hands a program over and has it started; see `engine/guests/src/prestart.rs`.

#![allow(unsafe_code, unreachable_pub, reason = "exports have fixed names, and one writes through an address")]

use std::cell::RefCell;

use crate::machine;

thread_local! {
    static SOURCE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Room for a program of so many bytes; its address.
#[unsafe(export_name = "stepwell-source")]
pub extern "C" fn source(bytes: u32) -> *mut u8 {
    SOURCE.with_borrow_mut(|source| {
        *source = vec![0; bytes as usize];
        source.as_mut_ptr()
    })
}

/// Starts the program. 0, or where it says what is wrong: address in the upper half, length in the lower.
#[unsafe(export_name = "stepwell-prepare")]
pub extern "C" fn prepare() -> u64 {
    let source = SOURCE.take();
    let started = std::str::from_utf8(&source).map_err(|error| error.to_string()).and_then(machine::start);
    match started {
        Ok(()) => 0,
        Err(problem) => {
            // Read by the one who asked, and never again.
            let text: &'static mut str = problem.leak();
            ((text.as_ptr().addr() as u64) << 32) | text.len() as u64
        }
    }
}

/// The clock that QuickJS is linked with. Programs cannot reach it; it is read only to seed the random numbers that they
/// cannot reach either.
#[unsafe(no_mangle)]
pub extern "C" fn __rquickjs_host_now_us() -> f64 {
    0.0
}
