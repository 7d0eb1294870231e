#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| atoll_connector_api::fuzzing::type_text(bytes));
