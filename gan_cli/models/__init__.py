"""Architectures, one a file. A generator is built from (latent_dim, sample_shape), a discriminator from (sample_shape).

A generator maps latents (N, latent_dim) to samples (N, *sample_shape); images are in [-1, 1]. A discriminator maps
samples to logits (N,). `sample_shape` is (C, H, W) for images and (D,) for vectors.
"""
