"""Explains millions of images of a shared store on a cluster of Ray, and keeps the maps as Parquet files."""
