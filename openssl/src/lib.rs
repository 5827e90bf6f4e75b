//! Links OpenSSL statically, and binds nothing: only librdkafka calls it.
