"""What a run notes of its finished work, so that the same run begun again goes on from there."""
