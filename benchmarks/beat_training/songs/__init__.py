"""Made recordings of bands that play songs of many kinds, with exact beats."""
