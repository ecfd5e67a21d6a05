"""What lies in a latent space, of any paper: directions and what they change, images projected into it.

`space` is where: z, and W of a style-based generator. `directions` finds some, `attributes` measures what they do to
images, `project` goes from an image to its latent.
"""
