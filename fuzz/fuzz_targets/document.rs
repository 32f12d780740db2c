#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| agora_vendor::laws::try_on("document", bytes));
