//! zoo.cfg, dynamic files and property flags read into one typed Config.
