"""Items and shoppers as vectors: learned by training (LightFM), served as gather and dot."""
