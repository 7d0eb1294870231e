#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| atoll_connector_files::fuzzing::csv(bytes));
