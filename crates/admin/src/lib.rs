//! Four-letter words and other operator views over a replica's status.
